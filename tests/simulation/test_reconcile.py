"""The reconciliation: worlds that agree are found to agree, and every kind of lie is found and named."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_lies import LIES, Lie, change, change_seen
from simulated_world import FIRST, LIVES, PAYOUT, SECOND, SELLER, Fate, world_of

from exchange.simulation.books import Books
from exchange.simulation.conduct import PingMove
from exchange.simulation.reconcile import reconcile
from exchange.simulation.tally import Tally, TurnedAway
from exchange.simulation.witness import Answered, PingSeen, PostAnswered
from exchange.values.reason import Reason

lives = st.lists(st.sampled_from(Fate), max_size=12)


@given(lives)
def test_a_world_in_which_all_agree(fates: list[Fate]) -> None:
    report = world_of(fates).report()
    assert report.disagreements == ()
    assert report.agrees


def test_nothing_at_all_agrees() -> None:
    assert reconcile(Tally(), (), Books()).agrees


@given(lives)
def test_the_figures_are_those_of_the_lives(fates: list[Fate]) -> None:
    figures = world_of(fates).report().figures
    count = Counter(fates)
    states = Counter(LIVES[fate][0] for fate in fates if fate in LIVES)
    sales = [gross for fate in fates for _, state, _, gross in LIVES.get(fate, ("", "", []))[2] if state == "accepted"]
    assert figures.pings == len(fates)
    assert (figures.unsold, figures.refused) == (count[Fate.UNSOLD], count[Fate.REFUSED])
    assert figures.offers == len(fates) - figures.unsold - figures.refused
    assert figures.posts == states["accepted"] + states["rejected"] + states["pending"]
    assert (figures.accepted, figures.rejected, figures.pending) == (
        states["accepted"],
        states["rejected"],
        states["pending"],
    )
    assert figures.taken_unknown == count[Fate.UNKNOWN_AND_TAKEN]
    assert figures.unanswered == count[Fate.PING_ANSWER_LOST] + count[Fate.POST_ANSWER_LOST]
    assert figures.turned_away == count[Fate.POST_CRASHED_AFTER_SALE]
    assert (figures.gross_micros, figures.payout_micros) == (sum(sales), PAYOUT * len(sales))
    assert figures.gross_micros == figures.payout_micros + figures.margin_micros


def test_the_failures_of_buyers_are_counted_by_kind() -> None:
    world = world_of([Fate.UNKNOWN_AND_TAKEN, Fate.SOLD])
    for move in (PingMove.SILENCE, PingMove.SILENCE, PingMove.NO_BID, PingMove.ERROR):
        world.logs[FIRST].append(PingSeen("ping-x", "o", move))
    assert world.report().figures.buyer_failures == {"silence at ping": 2, "error at ping": 1, "dropped at post": 1}


@pytest.mark.parametrize(("fate", "words", "lie"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
@settings(max_examples=20)
@given(rest=lives)
def test_a_lie_is_found_among_any_number_of_truths(fate: Fate, words: str, lie: Lie, rest: list[Fate]) -> None:
    rest = [other for other in rest if other is not Fate.PING_ANSWER_LOST]  # it would explain what is to be found
    world = world_of([fate, *rest])
    assert world.report().agrees
    lie(world)
    found = world.report().disagreements
    assert any(words in sentence for sentence in found), found


# What looks like a lie and is none


def test_an_order_of_fixed_price_is_posted_to_without_a_bid() -> None:
    world = world_of([Fate.SOLD])
    world.logs[SECOND] = [entry for entry in world.logs[SECOND] if not isinstance(entry, PingSeen)]
    change_seen(world, SECOND, bid_id=None)
    assert world.report().agrees


def test_a_post_in_progress_may_be_untold() -> None:
    world = world_of([Fate.UNKNOWN_AND_TAKEN])
    change(world.posts, 0, state="in_progress")
    change(world.attempts, 0, state="prepared")
    world.tally.posts.clear()
    assert world.report().agrees


@pytest.mark.parametrize("code", ["in_progress", "rate_limited", "overloaded", "unavailable"])
def test_a_seller_may_be_told_to_wait(code: str) -> None:
    world = world_of([Fate.SOLD])
    world.tally.add(TurnedAway(SELLER, "/v1/post", 409, code, "ping-0"))
    assert world.report().agrees


def test_a_post_may_be_answered_more_than_once() -> None:
    world = world_of([Fate.SOLD])
    world.logs[SECOND].append(PostAnswered(f"{SECOND}-ping-0", Answered.REPLY))
    assert world.report().agrees


def test_a_reason_is_compared_by_its_code() -> None:
    world = world_of([Fate.UNSOLD])
    change(world.pings, 0, reason=int(Reason.NO_BIDS))
    assert world.report().agrees
