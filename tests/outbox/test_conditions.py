"""Deliveries with conditions: on the lead, on another delivery, on hours; and with retries of their own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.buyer import ACCEPTS, Buyer, bids
from support.market import LEAD, Document, market
from support.outbox import SECRET, Receiver, make_due, outbox_rows, send_all
from support.world import World

from exchange.carriers.outcome import Failed
from exchange.outbox.conditions import WAITS_DAYS_MAX, Circumstances, kept_back
from exchange.outbox.outcome import Postponed, Skipped
from exchange.rules.schedule import Timeline
from exchange.storage.outbox import Other, depths
from exchange.values.deliveries import Following, LeadWebhook
from exchange.values.schedule import Hours, Schedule, Window
from exchange.values.vertical import Field, FieldType, Stage

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)  # a Wednesday, 21:00 the day before in Chicago
HOOK = LeadWebhook("https://h.example/", (SECRET,))
DATES = {"callback": FieldType.DATE, "appointment": FieldType.DATE_TIME}
NINE_TO_FIVE = Schedule((Window(frozenset(range(7)), Hours(540, 1020)),))


def found(following: Following, *, other: Other | None = None, age: timedelta = timedelta(), **more: Any) -> object:
    hours = Timeline(NINE_TO_FIVE, "America/Chicago") if following.in_hours else None
    lead, fields = more.get("lead", {}), {name: Field(name, kind, Stage.POST) for name, kind in DATES.items()}
    known = Circumstances(lead, fields, other, hours, "America/Chicago", NOW - age)
    return kept_back(following, known, more.get("now", NOW))


def test_it_waits_for_its_hours_to_the_second() -> None:
    following = Following("x", HOOK, in_hours=True)
    assert found(following) == Postponed(12 * 3600, "waits for the order's hours")
    assert found(following, now=NOW + timedelta(hours=12)) is None
    assert isinstance(found(following, age=timedelta(days=WAITS_DAYS_MAX, seconds=1)), Failed)


@pytest.mark.parametrize(
    ("on", "at_minute", "value", "wait_s"),
    [
        ("callback", 570, "2026-11-26", (24 + 12.5) * 3600),
        ("callback", 0, "2026-11-25", 3 * 3600),
        ("callback", 570, "2026-11-24", None),
        ("callback", 0, None, None),
        ("appointment", 0, "2026-11-25T04:00:00Z", 3600),
        ("appointment", 0, "2026-11-25T03:00:00Z", None),
        ("callback", 0, "2199-01-01", WAITS_DAYS_MAX * 86_400),
    ],
)
def test_it_waits_for_a_date_of_the_lead(on: str, at_minute: int, value: str | None, wait_s: float | None) -> None:
    following = Following("x", HOOK, on=on, at_minute=at_minute)
    wanted = None if wait_s is None else Postponed(wait_s, f"waits for {on}")
    assert found(following, lead={} if value is None else {on: value}) == wanted


def test_a_date_outside_its_hours_waits_for_both() -> None:
    following = Following("x", HOOK, on="callback", in_hours=True)
    lead = {"callback": "2026-11-26"}
    assert found(following, lead=lead) == Postponed(27 * 3600, "waits for callback")
    midnight = NOW + timedelta(hours=27)
    assert found(following, lead=lead, now=midnight) == Postponed(9 * 3600, "waits for the order's hours")


@pytest.mark.parametrize(
    ("state", "after", "instead_of"),
    [
        ("done", None, Skipped("crm is done")),
        ("dead", Skipped("crm is dead"), None),
        ("skipped", Skipped("crm is skipped"), Skipped("crm is skipped")),
        ("waiting", Postponed(600, "waits for crm"), Postponed(600, "waits for crm")),
    ],
)
def test_what_became_of_another_decides(state: str, after: object, instead_of: object) -> None:
    other = Other(state, 600)
    assert found(Following("x", HOOK, after="crm"), other=other) == after
    assert found(Following("x", HOOK, instead_of="crm"), other=other) == instead_of
    assert found(Following("x", HOOK, after="crm")) == Skipped("there is no crm of this sale")


# --- in a whole exchange --------------------------------------------------------------------------------------------


def followed(name: str, buyer: Buyer, **deliver: Document) -> Document:
    return market({name: buyer}, orders={name: {"deliver": deliver}})


def hook(receiver: Buyer, **terms: Any) -> Document:
    return {"webhook": {"url": receiver.url, "secret": SECRET}} | terms


async def sold(world: World, document: Document, lead: Document | None = None) -> None:
    await world.apply(document)
    post = await world.post((await world.ping(lead))["ping_id"])
    assert post["status"] == "accepted", post


async def states(world: World) -> dict[str, tuple[str, int]]:
    return {row["name"]: (row["state"], row["tries"]) for row in await outbox_rows(world)}


@pytest.mark.asyncio(loop_scope="module")
async def test_only_leads_that_suit_it_are_sent(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hooked, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = followed(
            "picky", buyer, old=hook(hooked, when={"age": {"min": 60}}), good=hook(hooked, when={"credit": ["good"]})
        )
        await sold(world, document, LEAD)
        await send_all(world)
        assert await states(world) == {"old": ("skipped", 1), "good": ("done", 1)}
        details = [row["detail"] for row in await outbox_rows(world) if row["name"] == "old"]
    assert (len(receiver.got), details) == (1, ["the lead does not suit it: age"])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_text_comes_after_its_mail_and_another_instead_of_it(world: World) -> None:
    first, second, third = Receiver([500, 200]), Receiver(), Receiver()
    async with (
        first.listening() as one,
        second.listening() as two,
        third.listening() as three,
        Buyer(bids("21.00"), ACCEPTS) as buyer,
    ):
        deliver = {"crm": hook(one), "then": hook(two, after="crm"), "else": hook(three, instead_of="crm")}
        await sold(world, followed("chained", buyer, **deliver))
        await send_all(world)
        assert await states(world) == {"crm": ("waiting", 1), "then": ("waiting", 0), "else": ("waiting", 0)}
        await make_due(world)
        await send_all(world)
        await make_due(world)
        await send_all(world)
    assert {name: state for name, (state, _) in (await states(world)).items()} == {
        "crm": "done",
        "then": "done",
        "else": "skipped",
    }
    assert (len(first.got), len(second.got), len(third.got)) == (2, 1, 0)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_delivery_is_tried_as_often_as_it_says_and_then_the_other_one_comes(world: World) -> None:
    broken, other = Receiver([500]), Receiver()
    async with broken.listening() as one, other.listening() as two, Buyer(bids("21.00"), ACCEPTS) as buyer:
        crm = hook(one, retry={"tries": 2, "first_s": 1000, "longest_s": 1000})
        await sold(world, followed("tried", buyer, crm=crm, desk=hook(two, instead_of="crm")))
        await send_all(world)
        [wait] = await world.rows(
            "select extract(epoch from due_at - now())::float8 as wait_s from outbox where name = 'crm'"
        )
        assert 490 < wait["wait_s"] <= 1000
        for _ in range(3):
            await make_due(world)
            await send_all(world)
    assert (len(broken.got), len(other.got)) == (2, 1)
    assert await states(world) == {"crm": ("dead", 2), "desk": ("done", 1)}


@pytest.mark.asyncio(loop_scope="module")
async def test_what_waits_for_its_hours_is_not_late_and_is_sent_when_they_come(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hooked, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = followed("closed", buyer, crm=hook(hooked, in_hours=True))
        await sold(world, document)
        closed = datetime.now(UTC) + timedelta(hours=12)
        document["orders"]["closed"]["schedule"] = {"from": closed.strftime("%Y-%m-%dT%H:%M")}
        await world.apply(document)
        await world.rows("update outbox set created_at = now() - interval '3 hours'")
        await send_all(world)
        [row] = await outbox_rows(world)
        assert (row["state"], row["tries"], row["detail"]) == ("waiting", 0, "waits for the order's hours")
        assert timedelta(hours=11) < row["due_at"] - datetime.now(UTC) <= timedelta(hours=12)
        [depth] = await depths(world.database)
        assert depth.oldest_s == 0
        del document["orders"]["closed"]["schedule"]
        await world.apply(document)
        await make_due(world)
        await send_all(world)
    assert (len(receiver.got), await states(world)) == (1, {"crm": ("done", 1)})


@pytest.mark.asyncio(loop_scope="module")
async def test_a_filter_is_read_with_the_fields_that_its_order_has_by_now(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hooked, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = followed("moved", buyer, crm=hook(hooked))
        await sold(world, document)
        fields = {"zip": {"type": "us_zip", "in": "ping"}, "rooms": {"type": "integer", "in": "ping"}}
        document["verticals"]["home"] = {"fields": fields}
        document["campaigns"]["home-us"] = {"vertical": "home"}
        document["orders"]["moved"] |= {
            "campaign": "home-us",
            "deliver": {"crm": hook(hooked, when={"rooms": {"min": 2}})},
        }
        await world.apply(document)
        await send_all(world)
    assert (receiver.got, await states(world)) == ([], {"crm": ("skipped", 1)})
