"""Hours, pauses, exclusions and consent from end to end: who is asked, why the others are not, and what holds later."""

import io
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console
from support.buyer import REJECTS, Buyer, bids
from support.market import CONTACT, LEAD, Document, market
from support.world import World

from exchange.commands.explain import explain, show

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEW_YORK = "America/New_York"
SAMOA = "Pacific/Pago_Pago"
TONGA = "Pacific/Tongatapu"  # the same hours as in Samoa, a day later


def local(hours: float, zone: str = "UTC") -> datetime:
    """What the clock in a zone reads so many hours from now."""
    return (datetime.now(UTC) + timedelta(hours=hours)).astimezone(ZoneInfo(zone))


def between(begin: float, end: float, zone: str = "UTC") -> Document:
    """A schedule by hours from now."""
    return {"hours": f"{local(begin, zone):%H:%M}-{local(end, zone):%H:%M}"}


def moment(hours: float, zone: str = "UTC") -> str:
    return f"{local(hours, zone):%Y-%m-%dT%H:%M}"


def open_now(zone: str = "UTC") -> Document:
    return between(-3, 3, zone)


def shut_now(zone: str = "UTC") -> Document:
    return between(3, 6, zone)


def with_zones(document: Document, **zones: str) -> Document:
    for name, zone in zones.items():
        document["buyers"][name]["time_zone"] = zone
    return document


def with_consent(document: Document) -> Document:
    """Adds the fields in which people agree to be called."""
    fields = {"called": {"type": "boolean", "in": "ping"}, "proof": {"type": "text", "in": "ping"}}
    vertical = document["verticals"]["auto"]
    document["verticals"]["auto"] = vertical | {"fields": vertical["fields"] | fields}
    return document


async def shown(world: World, ping_id: str) -> str:
    """What `exchange explain` prints."""
    console = Console(file=io.StringIO(), width=200)
    show(await explain(world.database, UUID(ping_id), again=False), console, again=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


# --- hours ----------------------------------------------------------------------------------------------------------


async def test_only_orders_that_are_open_are_asked_and_the_others_have_their_reason(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        names = ["always", "open", "shut", "later", "over", "night", "holiday"]
        orders: Document = {
            "open": {"schedule": open_now(NEW_YORK)},
            "shut": {"schedule": shut_now(NEW_YORK)},
            "later": {"schedule": {"from": moment(0.5, NEW_YORK)}},
            "over": {"schedule": {"until": moment(-0.5, NEW_YORK)}},
            "night": {"schedule": {"windows": [shut_now(NEW_YORK), open_now(NEW_YORK)]}},
            "holiday": {"schedule": {"holidays": [f"{local(days * 24, NEW_YORK):%Y-%m-%d}" for days in (-1, 0, 1)]}},
        }
        document = with_zones(market(dict.fromkeys(names, buyer), orders=orders), **dict.fromkeys(names, NEW_YORK))
        await shared_world.apply(document)
        ping = await shared_world.ping()
        reasons = await shared_world.reasons(ping["ping_id"])
        asked = {received.headers["exchange-order"] for received in buyer.pings}
    assert asked == {"always", "open", "night"}
    assert ping["status"] == "offered"
    assert {name: reasons[name] for name in names if name not in asked} == dict.fromkeys(
        ["shut", "later", "over", "holiday"], 202
    )
    text = await shown(shared_world, ping["ping_id"])
    assert text.count("202 outside_schedule") == 4
    assert "201 filtered" not in text


async def test_hours_are_those_of_the_buyers_zone(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        orders = {name: {"schedule": open_now("Asia/Kolkata")} for name in ("there", "elsewhere")}
        document = market({"there": buyer, "elsewhere": buyer}, orders=orders)
        await shared_world.apply(with_zones(document, there="Asia/Kolkata", elsewhere="America/Los_Angeles"))
        reasons = await shared_world.reasons((await shared_world.ping())["ping_id"])
    assert reasons == {"there": 2, "elsewhere": 202}


async def test_days_are_those_of_the_buyers_zone(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        days = [f"{local(0, TONGA):%a}".lower()]
        orders = {name: {"schedule": {"days": days}} for name in ("tonga", "samoa")}
        document = with_zones(market({"tonga": buyer, "samoa": buyer}, orders=orders), tonga=TONGA, samoa=SAMOA)
        await shared_world.apply(document)
        reasons = await shared_world.reasons((await shared_world.ping())["ping_id"])
    assert reasons == {"tonga": 2, "samoa": 202}


async def test_where_all_are_closed_nobody_is_asked(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}, orders={"only": {"schedule": shut_now()}}))
        ping = await shared_world.ping()
        test = await shared_world.ping(test=True)
        assert not buyer.pings
    assert (ping["status"], ping["reason"]["code"]) == ("unsold", 406)
    assert (test["status"], test["reason"]["code"]) == ("unsold", 406)


async def test_a_pause_ends_by_itself(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        orders = {
            "paused": {"paused_until": moment(1, NEW_YORK), "schedule": shut_now(NEW_YORK)},
            "resumed": {"paused_until": moment(-1, NEW_YORK)},
            "elsewhere": {"paused_until": moment(-1, NEW_YORK)},
        }
        document = market(dict.fromkeys(orders, buyer), orders=orders)
        zones = {"paused": NEW_YORK, "resumed": NEW_YORK, "elsewhere": "America/Los_Angeles"}
        await shared_world.apply(with_zones(document, **zones))
        ping = await shared_world.ping()
        reasons = await shared_world.reasons(ping["ping_id"])
    assert reasons == {"paused": 206, "resumed": 2, "elsewhere": 206}
    assert (await shown(shared_world, ping["ping_id"])).count("206 paused") == 2


# --- at the post ----------------------------------------------------------------------------------------------------


async def test_an_offer_that_was_made_within_the_hours_is_kept_after_them(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}, orders={"only": {"schedule": open_now()}}))
        ping = await shared_world.ping()
        await shared_world.apply(market({"only": buyer}, orders={"only": {"schedule": shut_now()}}))
        post = await shared_world.post(ping["ping_id"])
        assert len(buyer.posts) == 1
    assert (post["status"], post["price"]) == ("accepted", "17.85")


async def test_further_down_the_ladder_hours_do_not_matter_either(shared_world: World) -> None:
    async with Buyer(bids("21.00"), REJECTS) as first, Buyer(bids("20.00")) as second:
        await shared_world.apply(market({"first": first, "second": second}))
        ping = await shared_world.ping()
        await shared_world.apply(
            market({"first": first, "second": second}, orders={"second": {"schedule": shut_now()}})
        )
        post = await shared_world.post(ping["ping_id"])
        assert (len(first.posts), len(second.posts)) == (1, 1)
    assert (post["status"], post["price"]) == ("accepted", "17.85")


@pytest.mark.parametrize(
    ("section", "name", "change"),
    [
        ("orders", "first", {"paused": True}),
        ("orders", "first", {"paused_until": moment(24)}),
        ("buyers", "first", {"exclude_sellers": ["acme"]}),
        ("sellers", "acme", {"exclude_buyers": ["first"]}),
    ],
)
async def test_what_is_paused_or_excluded_after_the_offer_is_not_sent_the_lead(
    shared_world: World, section: str, name: str, change: Document
) -> None:
    async with Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        document = market({"first": first, "second": second})
        await shared_world.apply(document)
        pings = [await shared_world.ping() for _ in range(2)]
        document[section][name] |= change
        await shared_world.apply(document)
        post = await shared_world.post(pings[0]["ping_id"])
        assert (len(first.posts), len(second.posts)) == (0, 1)
        document["orders"]["second"]["paused"] = True
        await shared_world.apply(document)
        withdrawn = await shared_world.post(pings[1]["ping_id"], CONTACT | {"phone": "312-555-0124"})
    assert (post["status"], post["price"]) == ("accepted", "17.85")
    assert (withdrawn["status"], withdrawn["reason"]["code"]) == ("rejected", 506)


# --- exclusions -----------------------------------------------------------------------------------------------------


async def test_either_side_can_exclude_the_other(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = market(dict.fromkeys(["free", "choosy", "unloved", "order"], buyer))
        document["orders"]["choosy-too"] = {"buyer": "choosy", "campaign": "auto-us"}
        document["buyers"]["choosy"]["exclude_sellers"] = ["acme"]
        document["sellers"]["acme"]["exclude_buyers"] = ["unloved"]
        document["orders"]["order"]["exclude_sellers"] = ["acme"]
        await shared_world.apply(document)
        ping = await shared_world.ping()
        reasons = await shared_world.reasons(ping["ping_id"])
        assert reasons == {"free": 2} | dict.fromkeys(["choosy", "choosy-too", "unloved", "order"], 212)
        assert (await shown(shared_world, ping["ping_id"])).count("212 seller_excluded") == 4
        others = await shared_world.reasons((await shared_world.ping(seller="other"))["ping_id"])
        assert set(others.values()) == {2, 307}
        assert others.keys() == reasons.keys()


# --- consent --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, {"call", "proof", "both"}),
        ({"called": False, "proof": " "}, {"call", "proof", "both"}),
        ({"called": True}, {"proof", "both"}),
        ({"proof": "cert-1"}, {"call", "both"}),
        ({"called": True, "proof": "cert-1"}, set()),
    ],
)
async def test_an_order_is_asked_with_the_consent_that_it_needs(
    shared_world: World, given: Document, missing: set[str]
) -> None:
    async with Buyer(bids("21.00")) as buyer:
        orders = {
            "call": {"consent": ["called"]},
            "proof": {"consent": ["proof"], "fields": ["zip"]},
            "both": {"consent": ["called", "proof"]},
            "none": {},
        }
        await shared_world.apply(with_consent(market(dict.fromkeys(orders, buyer), orders=orders)))
        ping = await shared_world.ping(LEAD | given)
        reasons = await shared_world.reasons(ping["ping_id"])
    assert {name for name, reason in reasons.items() if reason == 213} == missing
    assert set(reasons.values()) <= {2, 307, 213}
    assert (await shown(shared_world, ping["ping_id"])).count("213 buyer_consent_missing") == len(missing)


async def test_without_the_consent_that_a_campaign_needs_a_ping_is_refused(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(with_consent(market({"only": buyer}, consent=["called", "proof"])))
        proof = LEAD | {"proof": "cert-1"}
        for lead, test in [(LEAD, False), (LEAD, True), (proof | {"called": False}, False), (proof, False)]:
            ping = await shared_world.ping(lead, test=test)
            assert (ping["status"], ping["reason"]["code"]) == ("refused", 403)
            assert ping["reason"]["name"] == "consent_missing"
            assert await shared_world.reasons(ping["ping_id"]) == {}
        whole = await shared_world.send("/v1/leads", {"campaign": "auto-us", "lead": LEAD | CONTACT})
        assert (whole.json()["status"], whole.json()["reason"]["code"]) == ("rejected", 403)
        assert whole.json()["post_id"] is None
        assert not buyer.pings
        agreed = {"campaign": "auto-us", "lead": proof | CONTACT | {"called": True}}
        assert (await shared_world.send("/v1/leads", agreed)).json()["status"] == "accepted"
