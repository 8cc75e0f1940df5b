"""Buyers who are SOAP services of both versions, with zeep on their side: a toolkit that knows only their WSDL."""

from decimal import Decimal
from typing import Any

import pytest
from support.buyer import Answer, Buyer, Received, bids
from support.market import CONTACT, Document, market
from support.soap.service import NAMESPACE, Does, Fails, Says, Service, Told
from support.unknowns import attempt_of
from support.world import World

from exchange.values.reason import Reason

ANN = CONTACT | {"first_name": 'Zoë <Ann> & "Bob"\r\n]]>'}
BID: Told = {"Ok": True, "Price": Decimal("21.109"), "Token": '<9> & "ü"'}

both = pytest.mark.parametrize("binding", ["soap11", "soap12"])


def documents(binding: str) -> Document:
    """The mapping for the documents of the WSDL; its elements are qualified, so one namespace says it all."""

    def message(root: str, fields: Document, **reply: Any) -> Document:
        rules = {"format": "xml", "success": {"at": "//Ok", "is": "true"}, "reject": {"at": "//Ok", "is": "false"}}
        return {
            "body": binding,
            "root": root,
            "namespace": NAMESPACE,
            "action": f"{NAMESPACE}/{root}",
            "fields": {"Test": {"value": "test"}} | fields,
            "reply": rules | {"reason": "//Why"} | reply,
        }

    return {
        "ping": message(
            "Offer",
            {"Floor": {"value": "floor"}, "Lead.Zip": "zip", "Lead.Age": "age"},
            price="/Envelope/Body/OfferResponse/Price",
            bid_id="//Token",
        ),
        "post": message(
            "Take",
            {
                "Token": {"value": "bid_id"},
                "Price": {"value": "price"},
                "Lead.@consent": {"const": "true"},
                "Lead.Zip": "zip",
                "Lead.Name": "first_name",
                "Lead.Phone": {"field": "phone", "phone": "digits"},
            },
            reference="//Reference",
            redirect_url="//Next",
        ),
    }


CALLS: Document = {
    "ping": {
        "body": "soap11",
        "root": "b:Offer",
        "fields": {
            "@xmlns:b": {"const": NAMESPACE},
            "Test": {"value": "test"},
            "Floor": {"value": "floor"},
            "Zip": "zip",
        },
        "reply": {"format": "xml", "success": {"at": "//Ok", "is": "true"}, "price": "//Price", "bid_id": "//Token"},
    },
    "post": {
        "body": "soap11",
        "root": "b:Take",
        "fields": {
            "@xmlns:b": {"const": NAMESPACE},
            "Test": {"value": "test"},
            "Token": {"value": "bid_id"},
            "Price": {"value": "price"},
            "Name": "first_name",
            "Phone": {"field": "phone", "phone": "digits"},
        },
        "reply": {"format": "xml", "success": {"at": "//Ok", "is": "true"}, "reference": "//Reference"},
    },
}
"""Remote calls: only the first element has a namespace, so it has a prefix."""


def soap_market(buyer: Buyer, mapping: Document, **others: Buyer) -> Document:
    document = market({"soap": buyer, **others})
    document["buyers"]["soap"]["endpoint"] |= {"dialect": "mapped", "mapping": mapping}
    for name in others:
        document["orders"][name]["priority"] = 2
    return document


def says(**result: Any) -> Does:
    return lambda _: Says(result)


@both
async def test_what_we_send_is_read_by_another_toolkit_and_what_that_writes_by_us(world: World, binding: str) -> None:
    taken = says(Ok=True, Reference="crm-<7>", Next="https://b.example/next?a=1&b=2")
    service = Service(binding, Offer=says(**BID), Take=taken)
    async with Buyer(service, service) as buyer, Buyer(bids("20.00")) as other:
        await world.apply(soap_market(buyer, documents(binding), other=other))
        ping = await world.ping()
        assert ping["price"] == "17.93"  # 21.10 less 15 %
        post = await world.post(ping["ping_id"], ANN)
        assert (post["status"], post["redirect_url"]) == ("accepted", "https://b.example/next?a=1&b=2")
        assert (await attempt_of(world, post))["reference"] == "crm-<7>"
        assert service.wrong == []
        assert service.calls == [
            ("Offer", {"Test": False, "Floor": Decimal("5.00"), "Lead": {"Zip": "60601", "Age": 41}}),
            (
                "Take",
                {
                    "Test": False,
                    "Token": '<9> & "ü"',
                    "Price": Decimal("21.10"),
                    "Lead": {"Zip": "60601", "Name": ANN["first_name"], "Phone": "13125550123", "consent": True},
                },
            ),
        ]
        await world.assert_sound()


async def test_remote_calls_whose_parts_have_no_namespace_are_made_as_well(world: World) -> None:
    service = Service("calls", Offer=says(**BID), Take=says(Ok=True, Reference="crm-7"))
    async with Buyer(service, service) as buyer:
        await world.apply(soap_market(buyer, CALLS))
        post = await world.post((await world.ping())["ping_id"], ANN)
        assert (post["status"], (await attempt_of(world, post))["reference"]) == ("accepted", "crm-7")
        assert service.wrong == []
        [_, (_, taken)] = service.calls
        assert (taken["Token"], taken["Name"]) == (BID["Token"], ANN["first_name"])


@both
async def test_a_test_is_a_true_boolean_to_the_service(world: World, binding: str) -> None:
    service = Service(binding, Offer=says(**BID), Take=says(Ok=True))
    async with Buyer(service, service) as buyer:
        await world.apply(soap_market(buyer, documents(binding)))
        ping = await world.ping(test=True)
        assert (await world.post(ping["ping_id"], ANN))["status"] == "accepted"
        assert [call["Test"] for _, call in service.calls] == [True, True]


@both
@pytest.mark.parametrize(
    ("offers", "reason"),
    [
        (says(Ok=False, Why="no coverage"), Reason.NO_BID),
        (says(Ok=True, Token="9"), Reason.INVALID_PRICE),
        (says(Ok=True, Price=Decimal(21)), Reason.INVALID_RESPONSE),
        (says(Ok=True, Price=Decimal("0.00"), Token="9"), Reason.NO_BID),
        (says(Ok=True, Price=Decimal("4.99"), Token="9"), Reason.BELOW_FLOOR),
        (lambda _: Fails("Key is unknown"), Reason.SERVER_ERROR),
        (lambda _: Fails("Key is unknown", BID), Reason.SERVER_ERROR),
    ],
    ids=["no", "no-price", "no-token", "nothing", "below-floor", "fault", "fault-with-a-bid"],
)
async def test_only_a_whole_bid_is_one(world: World, binding: str, offers: Does, reason: Reason) -> None:
    async with Buyer(Service(binding, Offer=offers)) as buyer, Buyer(bids("20.00")) as other:
        await world.apply(soap_market(buyer, documents(binding), other=other))
        ping = await world.ping()
        assert await world.reasons(ping["ping_id"]) == {"soap": reason, "other": Reason.WON}


@both
@pytest.mark.parametrize(
    ("takes", "status", "sold_by"),
    [
        (says(Ok=False, Why="bad phone"), "accepted", "other"),
        (lambda _: Fails("The database is away"), "pending", None),
        (lambda _: Fails("The database is away", {"Ok": True}), "pending", None),
        (lambda _: Fails("The database is away", {"Ok": False}), "pending", None),
    ],
    ids=["no", "fault", "fault-with-a-yes", "fault-with-a-no"],
)
async def test_a_fault_at_a_post_is_neither_yes_nor_no(
    world: World, binding: str, takes: Does, status: str, sold_by: str | None
) -> None:
    service = Service(binding, Offer=says(**BID), Take=takes)
    async with Buyer(service, service) as buyer, Buyer(bids("21.10")) as other:
        await world.apply(soap_market(buyer, documents(binding), other=other))
        post = await world.post((await world.ping())["ping_id"], ANN)
        assert post["status"] == status
        assert (len(buyer.posts), len(other.posts)) == (1, 1 if sold_by else 0)
        await world.assert_sound()


@both
async def test_a_fault_by_http_200_is_still_a_fault(world: World, binding: str) -> None:
    service = Service(binding, Offer=says(**BID), Take=lambda _: Fails("The database is away", {"Ok": True}))

    async def ok_but(received: Received) -> Answer:
        said = await service(received)
        assert said is not None
        return said.replace(b"HTTP/1.1 500", b"HTTP/1.1 200")

    async with Buyer(service, ok_but) as buyer:
        await world.apply(soap_market(buyer, documents(binding)))
        post = await world.post((await world.ping())["ping_id"], ANN)
        assert (post["status"], post["reason"]["name"]) == ("pending", "unknown")
