"""Buyers with wires of their own, on real sockets: XML, SOAP, forms, queries, signatures, and what comes of a lead."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from lxml import etree
from support.buyer import Answer, Behaviour, Buyer, Received, bids, says, silent
from support.market import LEAD, Document, market
from support.unknowns import KEY, age, attempt_of, reconcile, state_of
from support.waiting import until
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.values.reason import Reason

NO, WON, OUTBID = Reason.NO_BID, Reason.WON, Reason.OUTBID
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
NAMESPACE = "http://b.example/leads"


def mapped(buyers: dict[str, Buyer], name: str, endpoint: Document, **campaign: Any) -> Document:
    """A market in which one buyer has this wire; the others are native."""
    document = market(dict(buyers), **campaign)
    document["buyers"][name]["endpoint"] |= endpoint
    return document


def answer(body: bytes, status: int = 200, kind: str = "text/xml") -> bytes:
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


# XML


XML: Document = {
    "dialect": "mapped",
    "mapping": {
        "ping": {
            "body": "xml",
            "root": "Ping",
            "fields": {"@test": {"value": "test"}, "Lead.Zip": "zip", "Lead.Age": "age"},
            "reply": {
                "format": "xml",
                "reject": {"at": "/Bid/Take", "is": "no"},
                "success": {"at": "/Bid/Take", "is": "yes"},
                "price": {"at": "/Bid/Price", "money": "dollars"},
                "bid_id": "/Bid/@token",
            },
        },
        "post": {
            "body": "xml",
            "root": "Post",
            "fields": {
                "@test": {"value": "test"},
                "@token": {"value": "bid_id"},
                "Lead.Zip": "zip",
                "Lead.Name": "first_name",
                "Lead.Phone": {"field": "phone", "phone": "dashed"},
            },
            "reply": {
                "format": "xml",
                "duplicate": {"at": "/Taken", "is": "had"},
                "reject": {"at": "/Taken", "is": "no"},
                "success": {"at": "/Taken", "is": "yes"},
                "reference": "/Taken/@as",
            },
        },
    },
}


def parsed(received: Received) -> Any:
    """The document that a buyer was sent, as another parser reads it."""
    assert received.headers["content-type"] == "text/xml; charset=utf-8"
    return etree.fromstring(received.body, etree.XMLParser(resolve_entities=False))


def xml_bids(price: str) -> Behaviour:
    def behave(received: Received) -> Answer:
        root = parsed(received)
        assert (root.tag, root.get("test"), root.findtext("Lead/Zip")) == ("Ping", "false", "60601")
        return answer(f'<Bid token="&lt;7&gt;"><Take>Yes</Take><Price>{price}</Price></Bid>'.encode())

    return behave


def xml_takes(word: str) -> Behaviour:
    def behave(received: Received) -> Answer:
        lead = parsed(received).find("Lead")
        assert (lead.findtext("Name"), lead.findtext("Phone")) == ('<Ann> & "Bob"', "312-555-0123")
        assert parsed(received).get("token") == "<7>"
        return answer(f'<Taken as="crm-7">{word}</Taken>'.encode())

    return behave


CONTACT = {"first_name": '<Ann> & "Bob"', "phone": "312-555-0123", "email": "ann@example.com"}


async def test_a_buyer_who_speaks_xml_is_asked_and_sold_to(world: World) -> None:
    async with Buyer(xml_bids("$1,021.109"), xml_takes("yes")) as buyer, Buyer(bids("20.00")) as other:
        await world.apply(mapped({"xml": buyer, "other": other}, "xml", XML))
        ping = await world.ping()
        assert ping["price"] == "867.93"  # 1,021.10 less 15 %
        assert await world.reasons(ping["ping_id"]) == {"xml": WON, "other": OUTBID}
        post = await world.post(ping["ping_id"], CONTACT)
        assert (post["status"], post["price"]) == ("accepted", "867.93")
        assert (await attempt_of(world, post))["reference"] == "crm-7"
        assert (len(buyer.pings), len(buyer.posts), other.posts) == (1, 1, [])
        await world.assert_sound()


@pytest.mark.parametrize(
    ("word", "status", "sold_by"),
    [("no", "accepted", "other"), ("had", "accepted", "other"), ("perhaps", "pending", None)],
)
async def test_only_a_clear_no_lets_the_next_buyer_have_the_lead(
    world: World, word: str, status: str, sold_by: str | None
) -> None:
    async with Buyer(xml_bids("21.00"), xml_takes(word)) as buyer, Buyer(bids("21.00")) as other:
        document = mapped({"xml": buyer, "other": other}, "xml", XML)
        document["orders"]["other"]["priority"] = 2
        await world.apply(document)
        post = await world.post((await world.ping())["ping_id"], CONTACT)
        assert post["status"] == status
        assert len(other.posts) == (1 if sold_by else 0)
        await world.assert_sound()


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"<Bid><Take>yes</Take>", 200, Reason.INVALID_RESPONSE),
        (b"<html><body>yes</body></html>", 200, Reason.INVALID_RESPONSE),
        (b'<!DOCTYPE Bid [<!ENTITY y "yes">]><Bid><Take>&y;</Take></Bid>', 200, Reason.INVALID_RESPONSE),
        (b'<Bid token="1"><Take>yes</Take><Price>21,00</Price></Bid>', 200, Reason.INVALID_PRICE),
        (b'<Bid token="1"><Take>yes</Take></Bid>', 200, Reason.INVALID_PRICE),
        (b'<Bid token="1"><Take>yes</Take><Price>21</Price></Bid>', 503, Reason.SERVER_ERROR),
        (b"<Bid><Take>NO</Take></Bid>", 200, Reason.NO_BID),
        (b"<Bid>" + b" " * 200_000 + b"</Bid>", 200, Reason.RESPONSE_TOO_LARGE),
        ("<Bid><Take>été</Take></Bid>".encode("latin-1"), 200, Reason.INVALID_RESPONSE),
    ],
    ids=["cut", "html", "doctype", "comma", "no-price", "503", "no", "200-KB", "charset"],
)
async def test_what_is_no_bid_is_none_whatever_it_looks_like(
    world: World, body: bytes, status: int, reason: Reason
) -> None:
    async with Buyer(lambda _: answer(body, status)) as buyer:
        await world.apply(mapped({"xml": buyer}, "xml", XML))
        ping = await world.ping()
        assert ping["status"] == "unsold"
        assert await world.reasons(ping["ping_id"]) == {"xml": reason}


# SOAP


def soap(inside: str) -> bytes:
    return f'<?xml version="1.0"?><s:Envelope xmlns:s="{SOAP}"><s:Body>{inside}</s:Body></s:Envelope>'.encode()


def soap_service(results: dict[str, str]) -> Behaviour:
    """A SOAP 1.1 service with an operation for each result; whatever is wrong with a call is a fault."""

    def behave(received: Received) -> Answer:
        root = etree.fromstring(received.body)
        [call] = root.iterfind(f"{{{SOAP}}}Body/*")
        operation = etree.QName(call)
        if (
            received.headers.get("soapaction") != f'"{NAMESPACE}/{operation.localname}"'
            or operation.namespace != NAMESPACE
        ):
            return answer(soap("<s:Fault><faultcode>s:Client</faultcode></s:Fault>"), 500)
        inside = results[operation.localname]
        return answer(
            soap(f'<{operation.localname}Response xmlns="{NAMESPACE}">{inside}</{operation.localname}Response>')
        )

    return behave


def soap_message(operation: str, fields: Document, **reply: Any) -> Document:
    rules = {"format": "xml", "success": {"at": "//Ok", "is": "true"}, "reject": {"at": "//Ok", "is": "false"}}
    return {
        "body": "soap11",
        "root": operation,
        "namespace": NAMESPACE,
        "action": f"{NAMESPACE}/{operation}",
        "fields": {"test": {"value": "test"}, "lead.Zip": "zip"} | fields,
        "reply": rules | reply,
    }


@pytest.mark.parametrize(
    ("taken", "status"),
    [
        ("<Ok>true</Ok>", "accepted"),
        ("<Ok>false</Ok>", "rejected"),
        ("<s:Fault xmlns:s='x'><Ok>true</Ok></s:Fault>", "accepted"),
    ],
    ids=["yes", "no", "a-fault-elsewhere"],
)
async def test_a_soap_service_is_asked_and_sold_to(world: World, taken: str, status: str) -> None:
    service = soap_service({"Offer": "<Ok>true</Ok><Price>21.00</Price><Token>9</Token>", "Take": taken})
    endpoint = {
        "dialect": "mapped",
        "mapping": {
            "ping": soap_message("Offer", {}, price="//Price", bid_id="//Token"),
            "post": soap_message("Take", {"token": {"value": "bid_id"}, "lead.Name": "first_name"}),
        },
    }
    async with Buyer(service, service) as buyer:
        await world.apply(mapped({"soap": buyer}, "soap", endpoint))
        ping = await world.ping()
        assert ping["price"] == "17.85"
        assert (await world.post(ping["ping_id"], CONTACT))["status"] == status
        [sent] = buyer.posts
        call = etree.fromstring(sent.body).find(f".//{{{NAMESPACE}}}Take")
        assert call is not None
        assert call.findtext(f"{{{NAMESPACE}}}token") == "9"
        assert call.findtext(f"{{{NAMESPACE}}}lead/{{{NAMESPACE}}}Name") == CONTACT["first_name"]


async def test_a_soap_fault_at_a_post_is_neither_yes_nor_no(world: World) -> None:
    service = soap_service({"Offer": "<Ok>true</Ok><Price>21.00</Price><Token>9</Token>"})
    endpoint = {
        "dialect": "mapped",
        "mapping": {
            "ping": soap_message("Offer", {}, price="//Price", bid_id="//Token"),
            "post": soap_message("Take", {}) | {"action": "elsewhere"},
        },
    }
    async with Buyer(service, service) as buyer, Buyer(bids("20.00")) as other:
        await world.apply(mapped({"soap": buyer, "other": other}, "soap", endpoint))
        post = await world.post((await world.ping())["ping_id"], CONTACT)
        assert (post["status"], post["reason"]["name"]) == ("pending", "unknown")
        assert other.posts == []


# Forms, presets, queries


FORM: Document = {
    "dialect": "leadspedia",
    "mapping": {
        "ping": {"fields": {"lp_campaign_id": {"const": "5f"}, "zip_code": "zip", "age": "age"}},
        "post": {"fields": {"lp_campaign_id": {"const": "5f"}, "zip_code": "zip", "first_name": "first_name"}},
    },
}


def form_bids(received: Received) -> Answer:
    sent = dict(parse_qsl(received.body.decode()))
    assert received.headers["content-type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert (sent["lp_response"], sent["zip_code"], sent["age"]) == ("JSON", "60601", "41")
    ping_id = "test-1" if sent.get("lp_test") == "1" else "p-1"
    return answer(f'{{"result":"success","price":21.0,"ping_id":"{ping_id}"}}'.encode(), kind="application/json")


async def test_a_form_buyer_is_asked_and_sold_to(world: World) -> None:
    says_sold = b'{"result":"success","lead_id":"L7","redirect_url":"https://b.example/next"}'
    async with Buyer(form_bids, lambda _: answer(says_sold)) as buyer:
        await world.apply(mapped({"form": buyer}, "form", FORM))
        ping = await world.ping()
        post = await world.post(ping["ping_id"], CONTACT)
        assert (post["status"], post["redirect_url"]) == ("accepted", "https://b.example/next")
        [sent] = buyer.posts
        assert dict(parse_qsl(sent.body.decode())) == {
            "lp_response": "JSON", "lp_ping_id": "p-1", "lp_campaign_id": "5f", "zip_code": "60601",
            "first_name": CONTACT["first_name"],
        }  # fmt: skip


async def test_a_test_is_marked_as_the_buyer_knows_it(world: World) -> None:
    async with Buyer(form_bids, lambda _: answer(b'{"result":"success"}')) as buyer:
        await world.apply(mapped({"form": buyer}, "form", FORM))
        ping = await world.ping(test=True)
        await world.post(ping["ping_id"], CONTACT)
        [sent] = buyer.posts
        assert dict(parse_qsl(sent.body.decode()))["lp_test"] == "1"
        assert dict(parse_qsl(sent.body.decode()))["lp_ping_id"] == "test-1"


async def test_an_order_that_cannot_mark_a_test_is_not_asked_on_one(world: World) -> None:
    unmarked = {"dialect": "px", "mapping": {"ping": {"fields": {"Zip": "zip"}}, "post": {"fields": {"Zip": "zip"}}}}
    yes = says({"Success": True, "Payout": 25.0, "TransactionId": "t"})
    async with Buyer(yes, yes) as buyer, Buyer(bids("20.00")) as other:
        await world.apply(mapped({"px": buyer, "other": other}, "px", unmarked))
        ping = await world.ping(test=True)
        assert ping["price"] == "17.00"
        assert await world.reasons(ping["ping_id"]) == {"other": WON}
        assert buyer.pings == []
        assert (await world.ping())["price"] == "21.25"
        assert len(buyer.pings) == 1


QUERY: Document = {
    "dialect": "mapped",
    "auth": {"query": {"name": "key", "value": "k&1"}},
    "mapping": {
        "ping": {
            "method": "GET",
            "body": "query",
            "fields": {"zip": "zip", "test": {"value": "test"}, "order": {"value": "order"}},
            "reply": {"format": "text", "success": {"matches": "^bid "}, "price": {"matches": "^bid ([0-9.]+)$"}},
        },
        "post": {
            "method": "GET",
            "body": "query",
            "fields": {"zip": "zip", "name": "first_name", "test": {"value": "test"}, "id": {"value": "attempt_id"}},
            "reply": {"format": "text", "success": {"matches": "^sold$"}, "reject": {"matches": "^no$"}},
        },
    },
}


def asked(received: Received) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(received.path).query))


async def test_a_buyer_who_is_asked_by_get_has_everything_in_his_url(world: World) -> None:
    async with Buyer(lambda _: answer(b"bid 21.00"), lambda _: answer(b"sold")) as buyer:
        document = mapped({"get": buyer}, "get", QUERY)
        document["orders"]["twin"] = {"buyer": "get", "campaign": "auto-us"}
        await world.apply(document)
        ping = await world.ping()
        assert (await world.post(ping["ping_id"], CONTACT))["status"] == "accepted"
        orders = sorted(asked(received)["order"] for received in buyer.pings)
        assert orders == ["get", "twin"]
        assert {received.method for received in (*buyer.pings, *buyer.posts)} == {"GET"}
        assert {(received.body, asked(received)["key"]) for received in (*buyer.pings, *buyer.posts)} == {(b"", "k&1")}
        assert asked(buyer.posts[0])["name"] == CONTACT["first_name"]


async def test_a_get_is_never_sent_twice(world: World) -> None:
    async with Buyer(lambda _: answer(b"bid 21.00"), lambda _: None) as buyer:
        await world.apply(mapped({"get": buyer}, "get", QUERY))
        post = await world.post((await world.ping())["ping_id"], CONTACT)
        assert (post["status"], len(buyer.posts)) == ("pending", 1)


# Signatures, secrets, doubts


def signed(received: Received, key: bytes) -> bool:
    over = b".".join([received.headers["x-time"].encode(), received.body])
    return received.headers["x-signature"] == "sha256=" + hmac.new(key, over, hashlib.sha256).hexdigest()


HMAC: Document = {
    "hmac": {
        "header": "X-Signature",
        "secret": "k-1",
        "over": ["timestamp", "body"],
        "separator": ".",
        "prefix": "sha256=",
        "timestamp_header": "X-Time",
    }
}


@pytest.mark.parametrize("endpoint", [{}, FORM], ids=["native", "leadspedia"])
async def test_every_request_is_signed(world: World, endpoint: Document) -> None:
    on_ping: Callable[[Received], Answer] = (
        form_bids if endpoint else lambda _: answer(b'{"bid": "21.00", "bid_id": "a"}')
    )
    said = b'{"result":"success"}' if endpoint else b'{"status":"accepted"}'
    async with Buyer(on_ping, lambda _: answer(said)) as buyer:
        await world.apply(mapped({"signed": buyer}, "signed", endpoint | {"auth": HMAC}))
        for _ in range(2):
            post = await world.post((await world.ping())["ping_id"], CONTACT)
            assert post["status"] == "accepted", post
        assert len(buyer.pings) == len(buyer.posts) == 2
        assert all(signed(received, b"k-1") for received in (*buyer.pings, *buyer.posts))


async def test_an_order_whose_mapping_lacks_a_secret_is_paused(world: World) -> None:
    endpoint = FORM | {"mapping": {"ping": {"fields": {"k": {"secret": "${env:NOBODY_SETS_THIS}"}}}, "post": {}}}
    async with Buyer(form_bids) as buyer, Buyer(bids("20.00")) as other:
        await world.apply(mapped({"form": buyer, "other": other}, "form", endpoint))
        ping = await world.ping()
        assert await world.reasons(ping["ping_id"]) == {"form": Reason.PAUSED, "other": WON}
        assert buyer.pings == []


async def test_what_a_wire_cannot_carry_is_not_sent_and_the_next_buyer_has_it(world: World) -> None:
    odd = {"first_name": "Ann\x01", "phone": "312-555-0123", "email": "ann@example.com"}
    async with Buyer(xml_bids("21.00"), xml_takes("yes")) as buyer, Buyer(bids("21.00")) as other:
        document = mapped({"xml": buyer, "other": other}, "xml", XML)
        document["orders"]["other"]["priority"] = 2
        await world.apply(document)
        ping = await world.ping(LEAD)
        post = await world.post(ping["ping_id"], odd)
        assert post["status"] == "accepted"
        assert (len(buyer.posts), len(other.posts)) == (0, 1)


# Several bids


LIST: Document = {
    "dialect": "mapped",
    "mapping": {
        "ping": {
            "body": "json",
            "fields": {"zip": "zip", "sale": {"value": "sale"}, "test": {"value": "test"}},
            "reply": {
                "format": "json",
                "reject": {"at": "pass", "is": True},
                "bids": {
                    "at": "offers",
                    "price": "amount",
                    "bid_id": "token",
                    "sale": {"at": "kind", "exclusive": "alone", "shared": "split"},
                    "max_shares": "legs",
                },
            },
        },
        "post": {
            "body": "json",
            "fields": {"token": {"value": "bid_id"}, "sale": {"value": "sale"}, "test": {"value": "test"}},
            "reply": {"format": "json", "success": {"at": "sold", "is": True}},
        },
    },
}
BOTH_WAYS = {"offers": [
    {"kind": "split", "amount": "12.00", "token": "s", "legs": 2}, {"kind": "alone", "amount": "20.00", "token": "e"},
]}  # fmt: skip


@pytest.mark.parametrize(("other", "token", "price"), [("7.00", "e", "17.00"), ("11.00", "s", "19.55")])
async def test_of_several_bids_the_one_that_brings_more_wins_and_its_token_goes_back(
    world: World, other: str, token: str, price: str
) -> None:
    shared = says({"bids": [{"sale": "shared", "bid": other, "bid_id": "o"}]})
    async with Buyer(says(BOTH_WAYS), says({"sold": True})) as buyer, Buyer(shared) as second:
        await world.apply(mapped({"list": buyer, "other": second}, "list", LIST, sale="best"))
        ping = await world.ping()
        assert ping["price"] == price
        post = await world.post(ping["ping_id"], CONTACT)
        assert post["status"] == "accepted"
        [asked], [sold] = buyer.pings, buyer.posts
        assert asked.json["sale"] == "either"
        assert sold.json["token"] == token
        assert len(second.posts) == (token == "s")
        await world.assert_sound()


# Several values


async def test_a_field_with_several_values_goes_the_whole_way(world: World) -> None:
    form = {
        "dialect": "leadspedia",
        "mapping": {
            "ping": {
                "fields": {"zip_code": "zip", "car": "cars", "cars": {"field": "cars", "join": ";"}, "age": "age"}
            },
            "post": {"fields": {"zip_code": "zip", "car": "cars", "first_name": "first_name"}},
        },
    }
    says_sold, cars = b'{"result":"success","lead_id":"L7"}', ["Saab", "Opel & Co"]
    async with Buyer(form_bids, lambda _: answer(says_sold)) as buyer, Buyer(bids("20.00")) as other:
        document = mapped({"form": buyer, "other": other}, "form", form)
        vertical = document["verticals"]["auto"]
        several = {"cars": {"type": "text", "in": "ping", "multiple": True}}
        document["verticals"] = {"auto": vertical | {"fields": vertical["fields"] | several}}
        await world.apply(document)
        wrong = await world.send("/v1/ping", {"campaign": "auto-us", "lead": LEAD | {"cars": "Saab"}})
        assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (422, "wrong_type")
        ping = await world.ping(LEAD | {"cars": [*cars, "Saab", " "]})
        assert (await world.post(ping["ping_id"], CONTACT | {"cars": cars}))["changed_fields"] == []
        asked, sold = (parse_qsl(sent.body.decode()) for sent in (buyer.pings[0], buyer.posts[0]))
        assert [text for name, text in asked if name == "car"] == cars
        assert dict(asked)["cars"] == "Saab;Opel & Co"
        assert [text for name, text in sold if name == "car"] == cars
        assert other.pings[0].json["lead"]["cars"] == cars
        await world.assert_sound()


# What became of a post


STATUS: Document = {
    "method": "GET",
    "body": "query",
    "fields": {"id": {"value": "bid_id"}},
    "headers": {"X-Ours": {"value": "attempt_id"}},
    "reply": {
        "format": "json",
        "error": {"at": "error", "exists": True},
        "success": {"at": "state", "is": "sold"},
        "reject": {"at": "state", "is": "refused"},
        "not_found": {"status": "404"},
        "reference": "number",
    },
}


@pytest.mark.parametrize(
    ("said", "status", "code", "reference"),
    [
        (says({"state": "sold", "number": 7}), "accepted", None, "7"),
        (says({"state": "sold", "number": "312.555.0123"}), "accepted", None, None),
        (says({"state": "refused"}), "rejected", Reason.REJECTED_BY_BUYER, None),
        (says({}, 404), "rejected", Reason.NOT_SENT, None),
        (says({"state": "sold", "error": "busy"}), "pending", Reason.UNKNOWN, None),
        (says({"state": "soon"}), "pending", Reason.UNKNOWN, None),
        (silent, "pending", Reason.UNKNOWN, None),
    ],
    ids=["sold", "sold-as-his-number", "refused", "not-found", "error", "no-rule", "silence"],
)
async def test_a_buyer_is_asked_in_his_own_words_what_became_of_a_post(
    services: Services, tmp_path: Path, said: Behaviour, status: str, code: Reason | None, reference: str | None
) -> None:
    def behave(received: Received) -> Any:
        if received.path == "/bid":
            return answer(b'<Bid token="T&amp;1"><Take>Yes</Take><Price>21.00</Price></Bid>')
        return said(received)

    key = base64.b64encode(KEY).decode()
    async with (
        Buyer(behave, lambda _: answer(b"<html>busy</html>", 502)) as buyer,
        open_world(services, tmp_path, master_key=key) as world,
    ):
        xml = {"mapping": XML["mapping"] | {"status": STATUS}, "status_url": f"{buyer.url}/status?v=1"}
        await world.apply(mapped({"xml": buyer}, "xml", XML | xml | {"auth": {"bearer": "k-1"}}))
        post = await world.post((await world.ping())["ping_id"], CONTACT)
        assert post["status"] == "pending"
        await age(world, post, "5 minutes")
        await reconcile(world)
        question = buyer.pings[-1]
        assert len(buyer.posts) == 1
        attempt = await attempt_of(world, post)
        assert (question.method, question.path, question.body) == ("GET", "/status?v=1&id=T%261", b"")
        assert question.headers["x-ours"] == str(attempt["attempt_id"])
        assert question.headers["authorization"] == "Bearer k-1"
        found = await state_of(world, post)
        assert (found["status"], found.get("reason", {}).get("code")) == (status, code)
        assert attempt["reference"] == reference
        await world.assert_sound()


async def test_an_unclear_answer_is_asked_again_with_the_same_bytes(services: Services, tmp_path: Path) -> None:
    answers = [answer(b"<html>busy</html>", 502), answer(b'<Taken as="crm-7">yes</Taken>')]
    async with (
        open_world(services, tmp_path, master_key=base64.b64encode(KEY).decode()) as world,
        Buyer(xml_bids("21.00"), lambda _: answers.pop(0)) as buyer,
    ):
        await world.apply(mapped({"xml": buyer}, "xml", XML | {"idempotent_post": True}))
        post = await world.post((await world.ping())["ping_id"], CONTACT)
        assert post["status"] == "pending"
        await until(lambda: reconcile(world), lambda taken: taken == 1)
        first, second = buyer.posts
        assert first.body == second.body
        assert (await state_of(world, post))["status"] == "accepted"
        await world.assert_sound()
