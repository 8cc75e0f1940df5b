"""The reconciliation of shared leads: legs that agree are found to agree, and what is wrong with one is named."""

from dataclasses import replace

import pytest
from simulated_world import FIRST, PAYOUT, SECOND, SELLER, World

from exchange.simulation.answers import Answer, read_ping_answer
from exchange.simulation.tally import Fault, PingTold, PostTold
from exchange.values.ids import uuid7

PING, POST = "ping-0", "post-ping-0"


def shared(state: str, *tries: tuple[int, str, str, bool], told: str = "accepted") -> World:
    """A lead that was offered in two legs, each tried as it says: leg, buyer, recorded state, taken by the buyer."""
    world = World()
    world.offered(PING, payout=2 * PAYOUT)
    sold = sum(recorded == "accepted" for _, _, recorded, _ in tries)
    world.posted(PING, state, told, payout=sold * PAYOUT)
    for leg, buyer, recorded, taken in tries:
        world.tried(PING, buyer, recorded, taken)
        world.attempts[-1] = replace(world.attempts[-1], leg=leg)
    return world


BOTH = (1, FIRST, "accepted", True), (2, SECOND, "accepted", True)
ONE = (1, FIRST, "rejected", False), (2, SECOND, "accepted", True)
OPEN = (1, FIRST, "accepted", True), (2, SECOND, "unknown", True)


@pytest.mark.parametrize(
    ("state", "tries", "told"),
    [("accepted", BOTH, "accepted"), ("accepted", ONE, "accepted"), ("pending", OPEN, "pending")],
)
def test_legs_that_agree(state: str, tries: tuple[tuple[int, str, str, bool], ...], told: str) -> None:
    assert shared(state, *tries, told=told).report().disagreements == ()


def test_two_who_have_the_same_leg() -> None:
    world = shared("accepted", *BOTH)
    world.attempts[1] = replace(world.attempts[1], leg=1)
    said = " ".join(world.report().disagreements)
    assert "has 2 accepted and 0 open attempts" in said
    assert "was taken 2 times" in said


def test_a_post_that_does_not_wait_for_a_leg() -> None:
    assert f"Post {POST} is accepted, its attempts say pending." in shared("accepted", *OPEN).report().disagreements


def test_a_price_that_is_not_the_sum_of_the_accepted_legs() -> None:
    world = shared("accepted", *ONE)
    world.tally.posts[0] = PostTold(SELLER, POST, PING, "accepted", 2 * PAYOUT, None)
    assert f"Post {POST}: told 35.70, recorded is 17.85." in world.report().disagreements


def test_legs_that_pay_more_than_was_promised() -> None:
    world = shared("accepted", *BOTH)
    world.tally.pings[0] = PingTold(SELLER, "auto-us", PING, "offered", PAYOUT, None)
    world.pings[0] = replace(world.pings[0], payout_micros=PAYOUT)
    assert f"Post {POST} pays 35.70, promised was 17.85." in world.report().disagreements


def answer(legs: str, sale: str = "shared", shares: int = 2) -> Answer:
    body = (
        f'{{"ping_id": "{uuid7()}", "status": "offered", "price": "16.15", "currency": "USD", "sale": "{sale}", '
        f'"shares": {shares}, "legs": {legs}, "expires_in": 300, "expires_at": "2026-11-22T20:18:30Z"}}'
    )
    return Answer(SELLER, "/v1/ping", 200, "application/json", None, body.encode(), 1.0)


GOOD = '[{"leg": 1, "price": "8.50"}, {"leg": 2, "price": "7.65"}]'


def test_a_shared_offer_is_read() -> None:
    told = read_ping_answer(answer(GOOD), "auto-us", None)
    assert isinstance(told, PingTold)
    assert told.price_micros == 16_150_000


@pytest.mark.parametrize(
    "wrong",
    [
        answer(GOOD, sale="exclusive", shares=1),
        answer(GOOD, shares=3),
        answer("[]"),
        answer("[1, 2]"),
        answer('[{"leg": 2, "price": "8.50"}, {"leg": 1, "price": "7.65"}]'),
        answer('[{"leg": 1, "price": "8.50"}, {"leg": 2, "price": "7.64"}]'),
    ],
)
def test_a_shared_offer_that_does_not_add_up_is_a_fault(wrong: Answer) -> None:
    assert isinstance(read_ping_answer(wrong, "auto-us", None), Fault)
