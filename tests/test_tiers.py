"""Tiers: who is asked when, how the time is shared, and that the first tier with a buyer is the last that is asked."""

import time
from collections.abc import Callable, Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.auctions import amounts, entrants, gross_of, ping_ids, reasons
from support.market import market

from exchange.auction import Entrant, Terms, decide, has_buyer
from exchange.marketfile.reader import read
from exchange.rules.book import OrderEntry, compile_book
from exchange.rules.pricing import payout_of
from exchange.rules.ranking import Ranking
from exchange.tiers import Rounds, TierTimes, ask_in_rounds, tiers_of
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.deadline import Deadline
from exchange.values.market import MAX_SHARES, Fallback, Sale
from exchange.values.reason import Reason
from exchange.values.selling import Method

terms = st.builds(
    Terms,
    floor_micros=amounts,
    fallback=st.sampled_from(Fallback),
    min_price_micros=st.none() | amounts,
    payout_floor_micros=st.just(0) | amounts,
    ranking=st.just(Ranking({}, Method.PRIORITY)),
    second_price=st.just(False),
    sale=st.just(Sale.EXCLUSIVE),
    max_shares=st.just(MAX_SHARES),
    apart=st.just({}),
)

PRIORITIES = {"ann": 2, "bob": 1, "cid": 2, "dan": 5}


def entries() -> tuple[OrderEntry, ...]:
    orders = {name: {"priority": priority} for name, priority in PRIORITIES.items()}
    found = read(market(dict.fromkeys(PRIORITIES, "http://127.0.0.1:9"), orders=orders))
    return compile_book(found, 1, {}).campaigns["auto-us"].entries


@pytest.mark.parametrize(
    ("share", "left_ms", "tiers_left", "expected"),
    [
        (None, 600, 3, 200),
        (None, 400, 2, 200),
        (None, 200, 1, 200),
        (60, 500, 3, 300),
        (60, 200, 2, 120),
        (60, 80, 1, 80),
        (1, 500, 2, 20),
        (None, 30, 3, 20),
        (None, 10, 3, 10),
        (None, 0, 2, 0),
        (100, 500, 4, 500),
    ],
)
def test_the_time_is_shared(share: int | None, left_ms: int, tiers_left: int, expected: int) -> None:
    assert TierTimes(share, 20).tier_ms(left_ms, tiers_left) == expected


@given(st.none() | st.integers(1, 100), st.integers(0, 30_000), st.integers(1, 20))
def test_a_tier_never_has_more_than_is_left(share: int | None, left_ms: int, tiers_left: int) -> None:
    assert min(left_ms, 20) <= TierTimes(share, 20).tier_ms(left_ms, tiers_left) <= left_ms


def test_tiers_are_orders_of_equal_priority() -> None:
    assert [[entry.key for entry in tier] for tier in tiers_of(entries())] == [["bob"], ["ann", "cid"], ["dan"]]
    assert tiers_of([]) == []


@pytest.mark.parametrize(
    ("enough", "asked"),
    [("bob", ["bob"]), ("cid", ["bob", "ann", "cid"]), ("nobody", ["bob", "ann", "cid", "dan"])],
)
async def test_tiers_are_asked_until_one_has_a_buyer(enough: str, asked: list[str]) -> None:
    seen: list[str] = []
    decide_by = Deadline.after_ms(900)

    async def ask(tier: Sequence[OrderEntry], until: Deadline) -> list[Asked]:
        seen.extend(entry.key for entry in tier)
        assert until.at_s <= decide_by.at_s
        assert until.at_s - time.monotonic() <= {"bob": 0.3, "ann": 0.45, "dan": 0.9}[tier[0].key] + 0.001
        return [Asked(entry.key, Bid(1_000_000), 1.0) for entry in tier]

    def is_enough(tier: Sequence[OrderEntry], replies: Sequence[Asked]) -> bool:
        assert [reply.order for reply in replies] == [entry.key for entry in tier]
        return enough in {entry.key for entry in tier}

    rounds, times = Rounds(tiers_of(entries())), TierTimes(None, 20)
    replies, second = await ask_in_rounds(entries(), rounds, ask, is_enough, decide_by, times)
    assert not second
    assert seen == asked
    assert [reply.order for reply in replies] == list(PRIORITIES)
    for reply in replies:
        expected = Bid(1_000_000) if reply.order in asked else Refusal(Reason.TIER_NOT_REACHED)
        assert reply.reply == expected


@pytest.mark.parametrize(
    ("buyers", "then", "asked", "unreached"),
    [
        (["ann"], lambda left: [left], [["ann", "bob", "cid", "dan"]], []),
        (["cid"], lambda left: [left], [["ann", "bob", "cid", "dan"], ["bob", "cid"]], []),
        (["bob"], tiers_of, [["ann", "bob", "cid", "dan"], ["bob"]], ["cid"]),
        ([], tiers_of, [["ann", "bob", "cid", "dan"], ["bob"], ["cid"]], []),
        (["cid"], None, [["ann", "bob", "cid", "dan"]], []),
    ],
)
async def test_whom_the_first_method_left_out_the_second_asks(
    buyers: list[str], then: Callable[..., list[list[OrderEntry]]] | None, asked: list[list[str]], unreached: list[str]
) -> None:
    seen: list[list[str]] = []
    left_out = Refusal(Reason.NOT_SELECTED)

    async def ask(tier: Sequence[OrderEntry], until: Deadline) -> list[Asked]:
        assert until.at_s - time.monotonic() <= (0.45 if then and not seen else 0.9) + 0.001
        seen.append([entry.key for entry in tier])
        out = {"bob", "cid"} if len(seen) == 1 else set()
        return [Asked(entry.key, left_out if entry.key in out else Bid(1_000_000), 1.0) for entry in tier]

    def is_enough(_: Sequence[OrderEntry], replies: Sequence[Asked]) -> bool:
        return any(reply.order in buyers and reply.reply != left_out for reply in replies)

    rounds, times, decide_by = Rounds([entries()], then, more=True), TierTimes(None, 20), Deadline.after_ms(900)
    replies, second = await ask_in_rounds(entries(), rounds, ask, is_enough, decide_by, times)
    assert (seen, second) == (asked, len(asked) > 1)
    assert [reply.order for reply in replies] == list(PRIORITIES)
    heard = {order for orders in asked[1:] for order in orders} | {"ann", "dan"}
    for reply in replies:
        silent = Reason.TIER_NOT_REACHED if reply.order in unreached else Reason.NOT_SELECTED
        assert reply.reply == (Bid(1_000_000) if reply.order in heard else Refusal(silent))


@given(entrants(), terms, ping_ids)
def test_in_a_ping_tree_the_first_tier_that_can_sell_wins(found: list[Entrant], terms: Terms, ping_id: UUID) -> None:
    decision = decide(found, terms, ping_id)
    good = [
        item
        for item in found
        if reasons(decision)[item.order] in {Reason.WON, Reason.OUTBID}
        and payout_of(gross_of(item), item.margin) >= (terms.min_price_micros or 0)
    ]
    assert has_buyer(found, terms) == bool(good) == bool(decision.ladder)
    if good:
        first = min(item.priority for item in good)
        best = max(gross_of(item) for item in good if item.priority == first)
        winner = next(item for item in found if item.order == decision.ladder[0].order)
        assert (winner.priority, gross_of(winner)) == (first, best)
    by_order = {item.order: item for item in found}
    able = [by_order[rung.order] for rung in decision.ladder if by_order[rung.order] in good]
    assert [item.priority for item in able] == sorted(item.priority for item in able)
