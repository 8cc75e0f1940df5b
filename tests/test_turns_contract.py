"""Sharing on the wire: leads in turns by weight, leads to whoever accepts, and what a method went by in the record."""

import io
import json
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console
from support.buyer import ACCEPTS, REJECTS, Buyer, bids
from support.market import Document, market
from support.waiting import until
from support.world import World

from exchange.auction import Entrant, decide
from exchange.commands.explain import explain, show
from exchange.marketfile.reader import read
from exchange.rules.book import CampaignBook, compile_book
from exchange.storage.acceptance import Acceptance
from exchange.storage.pings import find
from exchange.terms import terms_of
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.reason import Reason
from exchange.values.selling import Method
from exchange.values.trace import Inputs, OrderOutcome

pytestmark = pytest.mark.asyncio(loop_scope="module")


def fixed(prices: dict[str, str], **campaign: Any) -> Document:
    """A market in which nobody is asked, so that many pings take little time."""
    orders = {name: {"price": price} for name, price in prices.items()}
    return market(dict.fromkeys(prices, "http://127.0.0.1:9"), orders=orders, **campaign)


async def winner_of(world: World, **ping: Any) -> str:
    offer = await world.ping(**ping)
    return next(order for order, code in (await world.reasons(offer["ping_id"])).items() if code == 2)


async def test_leads_are_shared_by_weight_whatever_is_bid(shared_world: World) -> None:
    document = fixed({"w-ann": "6.00", "w-bob": "9.00", "w-cid": "7.00"}, method="weighted")
    for name, weight in (("w-ann", 60), ("w-bob", 20), ("w-cid", 20)):
        document["orders"][name]["weight"] = weight
    await shared_world.apply(document)
    wins = Counter([await winner_of(shared_world) for _ in range(50)])
    assert wins == {"w-ann": 30, "w-bob": 10, "w-cid": 10}


async def test_test_leads_take_nobody_s_turn(shared_world: World) -> None:
    await shared_world.apply(fixed({"t-ann": "6.00", "t-bob": "9.00"}, method="round_robin"))
    first = await winner_of(shared_world)
    second = {"t-ann": "t-bob", "t-bob": "t-ann"}[first]
    assert [await winner_of(shared_world, test=True) for _ in range(5)] == [second] * 5
    wins = [await winner_of(shared_world) for _ in range(3)]
    assert wins[0] == second
    assert set(wins[1:]) == {first, second}


async def test_a_turn_is_for_those_who_pay_enough(shared_world: World) -> None:
    document = fixed({"e-ann": "4.99", "e-bob": "9.00", "e-cid": "7.00"}, method="round_robin")
    await shared_world.apply(document)
    assert {await winner_of(shared_world) for _ in range(6)} == {"e-bob", "e-cid"}
    assert {await winner_of(shared_world, min_price="7.00") for _ in range(3)} == {"e-bob"}


async def test_the_ladder_goes_on_with_whose_turn_is_next(shared_world: World) -> None:
    async with Buyer(bids("9.00"), REJECTS) as ann, Buyer(bids("8.00"), ACCEPTS) as bob:
        document = market({"l-ann": ann, "l-bob": bob}, method="weighted")
        document["orders"]["l-ann"]["weight"] = 99
        await shared_world.apply(document)
        offer = await shared_world.ping()
        assert await shared_world.reasons(offer["ping_id"]) == {"l-ann": 2, "l-bob": 307}
        post = await shared_world.post(offer["ping_id"])
        assert (post["status"], post["price"]) == ("accepted", "7.65")
        assert (len(ann.posts), len(bob.posts)) == (1, 1)


async def test_what_a_turn_went_by_is_recorded_and_explained(shared_world: World) -> None:
    await shared_world.apply(fixed({"r-ann": "6.00", "r-bob": "9.00"}, method="round_robin"))
    first = UUID((await shared_world.ping())["ping_id"])
    second = UUID((await shared_world.ping())["ping_id"])
    found = [await find(shared_world.database, ping_id) for ping_id in (first, second)]
    assert all(ping is not None for ping in found)
    before, after = (ping.inputs for ping in found if ping is not None)
    assert before == Inputs(Method.ROUND_ROBIN, {"r-ann": 0, "r-bob": 0})
    assert after is not None
    assert sorted(after.values.values()) == [-500_000, 500_000]
    console = Console(record=True, width=200, file=io.StringIO())
    show(await explain(shared_world.database, second, again=False), console, again=False)
    assert "round_robin, by credit before this lead: " in console.export_text()


@pytest.mark.parametrize("method", ["round_robin", "weighted", "performance", "priority", "highest_bid"])
async def test_the_record_decides_again_as_it_was_decided(shared_world: World, method: str) -> None:
    names = [f"{method}-{number}" for number in range(4)]
    document = fixed({name: f"{8 + number % 2}.00" for number, name in enumerate(names)}, method=method)
    document["orders"][names[0]] |= {"boost": {"percent": 20}, "weight": 3, "priority": 2}
    market_found = read(document)
    version = await shared_world.apply(document)
    book = compile_book(market_found, version, {}).campaigns["auto-us"]
    for _ in range(8):
        offer = await shared_world.ping(min_price="6.80")
        await shared_world.reasons(offer["ping_id"])
        ping = await find(shared_world.database, UUID(offer["ping_id"]))
        assert ping is not None
        seller = market_found.sellers[ping.seller]
        entrants = [again(outcome, book) for outcome in ping.outcomes]
        decision = decide(entrants, terms_of(book, seller, ping.lead, ping.min_price_micros, ping.inputs), ping.ping_id)
        assert decision.ladder == ping.ladder
        assert decision.payout_micros == ping.payout_micros
        assert decision.outcomes == ping.outcomes
        assert decision.inputs == ping.inputs


def again(outcome: OrderOutcome, book: CampaignBook) -> Entrant:
    """What an order said, from its record."""
    is_bid = outcome.reason in {Reason.WON, Reason.OUTBID}
    reply = Bid(outcome.gross_micros or 0, outcome.bid_id) if is_bid else Refusal(outcome.reason, outcome.detail)
    priority, margin = book.by_key[outcome.order].order.priority, book.campaign.margin
    asked = Asked(outcome.order, reply, outcome.elapsed_ms)
    return Entrant(outcome.order, outcome.buyer, priority, None, None, margin, asked)


async def test_a_plain_auction_records_nothing_more_than_before(shared_world: World) -> None:
    await shared_world.apply(fixed({"p-ann": "6.00"}))
    offer = await shared_world.ping()
    [row] = await shared_world.rows("select trace from pings where ping_id = $1", offer["ping_id"])
    assert set(json.loads(row["trace"])) == {"orders", "phases_ms"}


async def test_who_accepts_little_must_bid_more(shared_world: World) -> None:
    async with Buyer(bids("10.00"), REJECTS) as picky, Buyer(bids("9.00")) as glad:
        document = market({"a-picky": picky, "a-glad": glad})
        await shared_world.apply(document)
        for _ in range(12):
            await shared_world.post((await shared_world.ping())["ping_id"])
        assert (len(picky.posts), len(glad.posts)) == (12, 12)

        acceptance = Acceptance(shared_world.database, lambda: [["a-picky", "a-glad"]])
        await acceptance.count()
        assert acceptance.measured == {"a-picky": 227_272, "a-glad": 772_727}

        document["campaigns"]["auto-us"]["method"] = "performance"
        await shared_world.apply(document)

        async def first() -> str:
            return await winner_of(shared_world)

        await until(first, lambda winner: winner == "a-glad")
        offer = await shared_world.ping()
        ping = await find(shared_world.database, UUID(offer["ping_id"]))
        assert ping is not None
        assert ping.inputs == Inputs(Method.PERFORMANCE, {"a-picky": 227_272, "a-glad": 772_727})
        assert offer["price"] == "7.65"


async def test_test_leads_and_what_is_unknown_say_nothing_of_acceptance(shared_world: World) -> None:
    async with Buyer(bids("10.00"), lambda _: None) as lost:
        await shared_world.apply(market({"u-lost": lost}))
        await shared_world.post((await shared_world.ping())["ping_id"])
    async with Buyer(bids("10.00"), REJECTS) as tested:
        await shared_world.apply(market({"u-tested": tested}))
        await shared_world.post((await shared_world.ping(test=True))["ping_id"])
    acceptance = Acceptance(shared_world.database, lambda: [["u-lost", "u-tested"], []])
    await acceptance.count()
    assert acceptance.measured == {}
