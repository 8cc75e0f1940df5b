"""The entrance by itself: who comes together goes in by turns of the event loop, and a line loses only its own."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from exchange.api.entrance import STARTS_A_TURN, Entrance, EntranceLimits
from exchange.api.problems import Prepared
from exchange.buyers.calls import Tally


class Keys:
    """Every key speaks for the seller of its name."""

    def seller_seen(self, key: str, _: float) -> tuple[str | None, bool]:
        return key, True


class NoRates:
    def refusal(self, _seller: str, _now_s: float) -> None:
        return None


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
async def entrance(in_flight_max: int) -> AsyncIterator[Entrance]:
    limits = EntranceLimits(
        in_flight_max=in_flight_max,
        in_hand_min=in_flight_max,
        lag_target_ms=3,
        own_target_ms=100,
        wait_max_ms=60_000,
        time_min_ms=45,
    )
    opened = Entrance(Keys(), NoRates(), Tally(), limits)  # type: ignore[arg-type]  # all that it asks of them
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
