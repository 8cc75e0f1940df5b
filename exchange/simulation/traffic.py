"""Traffic of simulated sellers: seeded pings at a rate, most offers posted, some twice, and a tally of every answer."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from random import Random

from exchange.simulation.leads import LEAD_MAKERS, SimulatedLead
from exchange.simulation.sellers import SellerClient
from exchange.simulation.tally import OFFERED, PingTold, Tally, Told
from exchange.values.money import MICROS_PER_UNIT

SOURCES = ("search-brand", "search-generic", "social-17", "social-22", "email-weekly", "comparison-page", "partner-4")


@dataclass(frozen=True, slots=True)
class Habits:
    """How sellers behave. `pings_per_s` is an average: gaps are drawn as for independent arrivals."""

    pings_per_s: float = 10.0
    in_flight_max: int = 64
    posted_pct: float = 92.0  # of the offers
    repeated_pct: float = 4.0  # of the posts: sent again with the same key
    at_once_pct: float = 50.0  # of those: without waiting for the first answer
    min_price_pct: float = 12.0  # of the pings
    min_price_units: tuple[int, int] = (8, 25)
    hesitation_ms: tuple[int, int] = (5, 250)  # between the offer and the post


@dataclass(frozen=True, slots=True)
class Errand:
    """Everything about one lead that is decided before it is sent, so that a seed tells the whole story."""

    client: SellerClient
    campaign: str
    lead: SimulatedLead
    source: str
    min_price_micros: int | None
    posted: bool
    repeated: bool
    at_once: bool
    hesitation_ms: float
    gap_s: float


class Traffic:
    """Sends leads for several sellers and keeps their tally; `told` hears of every answer as it comes."""

    def __init__(
        self,
        clients: Sequence[SellerClient],
        *,
        seed: int,
        today: date,
        habits: Habits | None = None,
        told: Callable[[Told], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self._habits = habits or Habits()
        self._errands = plan_errands(clients, self._habits, Random(seed), today)
        self._told = told
        self._in_flight = asyncio.Semaphore(self._habits.in_flight_max)

    async def run(self, stop: asyncio.Event, *, pings: int | None = None) -> Tally:
        """Sends `pings` leads (None: no end) or until `stop` is set, and returns when all are answered."""
        async with asyncio.TaskGroup() as group:
            for errand in islice(self._errands, pings):
                if await _stopped_within(stop, errand.gap_s):
                    break
                await self._in_flight.acquire()
                group.create_task(self._run_errand(errand))
        return self.tally

    async def _run_errand(self, errand: Errand) -> None:
        try:
            answer = await errand.client.ping(
                errand.campaign, errand.lead.ping, source=errand.source, min_price_micros=errand.min_price_micros
            )
            self._note(answer)
            if isinstance(answer, PingTold) and answer.status == OFFERED and errand.posted:
                await asyncio.sleep(errand.hesitation_ms / 1000)
                await self._post(errand, answer.ping_id)
        finally:
            self._in_flight.release()

    async def _post(self, errand: Errand, ping_id: str) -> None:
        client, contact = errand.client, errand.lead.contact
        key = f"post-{ping_id}"  # not from the seed: the next run with the same seed may meet the same exchange
        if errand.repeated:
            for record in await client.post_twice(ping_id, contact, idempotency_key=key, at_once=errand.at_once):
                self._note(record)
        else:
            self._note(await client.post(ping_id, contact, idempotency_key=key))

    def _note(self, record: Told) -> None:
        self.tally.add(record)
        if self._told is not None:
            self._told(record)


def plan_errands(clients: Sequence[SellerClient], habits: Habits, random: Random, today: date) -> Iterator[Errand]:
    """Errands without end, one seller after another by luck."""
    low, high = habits.min_price_units
    while True:
        client = random.choice(clients)
        campaign = random.choice(client.account.campaigns)
        has_min_price = random.random() * 100 < habits.min_price_pct
        yield Errand(
            client=client,
            campaign=campaign,
            lead=LEAD_MAKERS[campaign](random, today),
            source=random.choice(SOURCES),
            min_price_micros=random.randint(low, high) * MICROS_PER_UNIT if has_min_price else None,
            posted=random.random() * 100 < habits.posted_pct,
            repeated=random.random() * 100 < habits.repeated_pct,
            at_once=random.random() * 100 < habits.at_once_pct,
            hesitation_ms=random.uniform(*habits.hesitation_ms),
            gap_s=random.expovariate(habits.pings_per_s),
        )


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
