"""The entrance by itself: who comes together goes in by turns of the event loop, and a line loses only its own."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from exchange.api.door import Arrival
from exchange.api.entrance import STARTS_A_TURN, Entrance, EntranceLimits
from exchange.api.problems import Prepared, prepared
from exchange.buyers.calls import Tally
from exchange.errors import Problem
from exchange.observe import metrics


class Keys:
    """Every key speaks for the seller of its name; what follows a hyphen tells his keys apart."""

    def seller_seen(self, key: str, _: float) -> tuple[str | None, bool]:
        return key.split("-", maxsplit=1)[0], True


class Rates:
    """Those of whom it is said so have no token."""

    def __init__(self) -> None:
        self.limited: set[str] = set()

    def refusal(self, seller: str, _now_s: float) -> Prepared | None:
        return LIMITED if seller in self.limited else None


LIMITED = prepared(Problem(429, "rate_limited", "You send too much.", retry_after_s=1))


@dataclass
class Ping:
    bearer: str
    went_in: list["Ping"]
    seller: str = ""
    since_s: float = 0.0
    refused: list[Prepared] = field(default_factory=list)

    def go(self) -> bool:
        self.went_in.append(self)
        return True

    def refuse(self, refusal: Prepared) -> None:
        self.refused.append(refusal)


@asynccontextmanager
async def entrance(in_flight_max: int, rates: Rates | None = None) -> AsyncIterator[Entrance]:
    limits = EntranceLimits(
        in_flight_max=in_flight_max,
        in_hand_min=in_flight_max,
        lag_target_ms=3,
        own_target_ms=100,
        wait_max_ms=60_000,
        time_min_ms=45,
    )
    opened = Entrance(Keys(), rates or Rates(), Tally(), limits)  # type: ignore[arg-type]  # all that it asks of them
    opened.start()
    try:
        yield opened
    finally:
        await opened.close()


async def test_of_those_who_come_together_a_few_go_in_at_each_turn() -> None:
    async with entrance(100) as opened:
        went_in: list[Ping] = []
        pings = [Ping("acme", went_in) for _ in range(4 * STARTS_A_TURN)]
        for ping in pings:
            assert opened.turn_away("ping", "acme", time.monotonic()) is None
            assert opened.enter(ping) is None
        seen = [len(went_in)]
        while len(went_in) < len(pings):
            await asyncio.sleep(0)
            seen.append(len(went_in))
        assert seen[0] == STARTS_A_TURN
        assert max(after - before for before, after in pairwise(seen)) == STARTS_A_TURN
        assert went_in == pings


async def test_who_has_most_waiting_is_turned_away_and_the_other_is_not() -> None:
    async with entrance(1) as opened:
        went_in: list[Ping] = []
        assert opened.enter(Ping("flood", went_in)) is None
        assert opened.turn_away("ping", "flood", time.monotonic()) is not None
        assert opened.turn_away("ping", "quiet", time.monotonic()) is None
        quiet = Ping("quiet", went_in)
        assert opened.enter(quiet) is None
        assert (len(went_in), quiet.refused) == (1, [])


async def test_a_line_without_room_turns_away_its_own() -> None:
    async with entrance(2) as opened:
        went_in: list[Ping] = []
        for _ in range(2):
            assert opened.enter(Ping("flood", went_in)) is None
        waiting = []
        while opened.turn_away("ping", "quiet", time.monotonic()) is None:
            waiting.append(Ping("quiet", went_in))
            assert opened.enter(waiting[-1]) is None
        assert len(waiting) > len(went_in) == 2
        third = Ping("third", went_in)
        assert opened.turn_away("ping", "third", time.monotonic()) is None
        assert opened.enter(third) is None
        assert [bool(ping.refused) for ping in waiting] == [False] * (len(waiting) - 1) + [True]
        assert third.refused == []


def problems(door: str) -> float:
    return metrics.REGISTRY.get("exchange_problems_total", {"door": door, "code": "overloaded"}) or 0.0


async def test_whoever_is_turned_away_is_counted_when_the_turn_is_over() -> None:
    async with entrance(1) as opened:
        assert opened.enter(Ping("flood", [])) is None
        before = problems("ping"), problems("leads"), shed()
        told = [opened.turn_away(door, "flood", time.monotonic()) for door in ("ping", "ping", "leads", "ping")]
        await asyncio.sleep(0)
        assert (problems("ping"), problems("leads"), shed()) == (before[0] + 3, before[1] + 1, before[2] + 4)
        assert {dict(refusal.parts[1])[b"retry-after"] for refusal in told if refusal} == {b"1", b"2", b"3"}


async def test_who_is_turned_away_in_the_last_turn_is_counted() -> None:
    before = problems("ping")
    async with entrance(1) as opened:
        assert opened.enter(Ping("flood", [])) is None
        assert opened.turn_away("ping", "flood", time.monotonic()) is not None
    assert problems("ping") == before + 1


def shed() -> float:
    return metrics.REGISTRY.get("exchange_requests_shed_total", {"cause": "pings_in_flight"}) or 0.0


SELLERS = st.sampled_from(["one", "two", "three"])
STEPS = st.one_of(
    st.tuples(st.just("comes"), SELLERS, st.sampled_from([1, 1, 1, 2, 4, 100])),
    st.tuples(st.just("leaves"), SELLERS, st.just(1)),
    st.tuples(st.sampled_from(["limited", "free", "turn"]), SELLERS, st.just(1)),
)
TIE = [("comes", "one", 103), ("comes", "three", 100), ("comes", "one", 1), ("comes", "two", 1), ("comes", "one", 1)]
LEFT = [("comes", "one", 2), ("leaves", "one", 1), ("comes", "one", 1)]
GONE_IN = [("comes", "one", 3), ("comes", "two", 1), ("turn", "one", 1), ("comes", "one", 1), ("comes", "two", 1)]


@given(st.lists(STEPS, max_size=30), st.sampled_from([1, 2, 3, 6]))
@example(TIE, 6)
@example(LEFT, 1)
@example(GONE_IN, 4)
def test_a_key_is_turned_away_as_one_that_was_never_seen(steps: list[tuple[str, str, int]], places: int) -> None:
    asyncio.run(_by_both([(step, seller) for step, seller, times in steps for _ in range(times)], places))


async def _by_both(steps: list[tuple[str, str]], places: int) -> None:
    """Two entrances go through the same; at one each seller has one key, at the other a key for each ping."""
    rates = Rates()
    async with entrance(places, rates) as usual, entrance(places, rates) as exact:
        inside: dict[Entrance, list[Ping]] = {usual: [], exact: []}
        for number, (step, seller) in enumerate(steps):
            if step == "comes":
                keys = {usual: seller, exact: f"{seller}-{number}"}
                told = [_comes(opened, key, inside[opened]) for opened, key in keys.items()]
                assert told[0] == told[1]
            elif step == "leaves":
                for opened in (usual, exact):
                    _leaves(opened, seller, inside[opened])
            else:  # rates are told, and tokens are taken, by tasks: between the turns of the network
                await asyncio.sleep(0)
                changed = {"limited": rates.limited | {seller}, "free": rates.limited - {seller}}
                rates.limited = changed.get(step, rates.limited)
            assert [ping.seller for ping in inside[usual]] == [ping.seller for ping in inside[exact]]


def _comes(opened: Entrance, key: str, inside: list[Ping]) -> tuple[str, str] | None:
    """What a ping is told: that it is turned away, or refused later, and why; None where it goes in, or waits."""
    refusal = opened.turn_away("ping", key, time.monotonic())
    if refusal is not None:
        return "turned away", refusal.code
    refusal = opened.enter(Ping(key, inside))
    return None if refusal is None else ("refused", refusal.code)


def _leaves(opened: Entrance, seller: str, inside: list[Ping]) -> None:
    ping = next((ping for ping in inside if ping.seller == seller), None)
    if ping is not None:
        inside.remove(ping)
        arrival = Arrival("/v1/ping", [], 0.0)
        arrival.inside = seller
        opened.leave(arrival)
