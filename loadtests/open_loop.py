"""Sellers who come whether or not others were answered: Poisson arrivals, timed from the moment at which each was due.

A generator that waits for answers asks less of an exchange that stalls, and hides the stall. Here each arrival's moment
is drawn before the run; what a ping or a post had to wait anywhere, this generator included, counts as its time.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import orjson
import uvloop
from judging import judge_ping, judge_post
from samples import SHED, WRONG, Check, Sample, checks, flood_checks, percentile, spread, table
from scenarios import SCENARIOS, Limits, Scenario, Stage, arrivals
from wire import Wire

from exchange.simulation.answers import Answer
from exchange.simulation.leads import LEAD_MAKERS, SimulatedLead
from exchange.simulation.tally import OFFERED, PingTold, PostTold, Told, TurnedAway
from exchange.values.brakes import Rate
from exchange.values.money import format_amount

POSTED_SHARE = 0.9  # of the offers
MIN_PRICE_SHARE = 0.1  # of the pings
MIN_PRICES_MICROS = (6_000_000, 12_000_000)
PAUSE_S = (0.005, 0.25)  # between an offer and its post
IN_FLIGHT_MAX = 2_000
"""Leads under way; one that comes beyond that is a wrong answer, for the load is not what it was to be."""
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Part:
    """One seller's share of a load."""

    seller: str
    key: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class _Errand:
    """Everything about one lead that is decided before it is sent."""

    part: Part
    at_s: float
    campaign: str
    lead: SimulatedLead
    least_micros: int | None
    pause_s: float | None


def errands(parts: Sequence[Part], campaigns: Sequence[str], per_s: float, seed: str) -> list[_Errand]:
    """All leads of a run in the order of their moments; the same seed makes the same ones."""
    found = []
    for index, part in enumerate(parts):
        random, today = Random(f"{seed} {index}"), datetime.now(UTC).date()
        for at_s in arrivals(part.stages, per_s, random):
            campaign = random.choice(campaigns)
            least = random.choice(MIN_PRICES_MICROS) if random.random() < MIN_PRICE_SHARE else None
            pause_s = random.uniform(*PAUSE_S) if random.random() < POSTED_SHARE else None
            found.append(_Errand(part, at_s, campaign, LEAD_MAKERS[campaign](random, today), least, pause_s))
    return sorted(found, key=lambda errand: errand.at_s)


class OpenLoop:
    """Sends leads to a gateway at their moments, and keeps a sample of each request; `told` hears of every answer."""

    def __init__(self, url: str, told: Callable[[Told], None] = lambda _: None) -> None:
        self._wire = Wire(url)
        self._told = told
        self._began_s = 0.0
        self._in_flight = 0
        self.samples: list[Sample] = []

    async def run(self, work: Sequence[_Errand]) -> list[Sample]:
        """Returns when the last answer has come."""
        self._began_s, self.samples = time.monotonic() + 0.2, []
        try:
            async with asyncio.TaskGroup() as group:
                for errand in work:
                    await asyncio.sleep(self._began_s + errand.at_s - time.monotonic())
                    if self._in_flight >= IN_FLIGHT_MAX:
                        self._note("ping", errand, errand.at_s, WRONG, 0.0, f"{IN_FLIGHT_MAX} leads are under way")
                        continue
                    self._in_flight += 1
                    group.create_task(self._sell(errand))
        finally:
            await self._wire.close()
        return self.samples

    async def _sell(self, errand: _Errand) -> None:
        try:
            offer = await self._ping(errand)
            if offer is None or offer.status != OFFERED or errand.pause_s is None:
                return
            due_s = self._now() + errand.pause_s
            await asyncio.sleep(errand.pause_s)
            await self._post(errand, offer, due_s)
        finally:
            self._in_flight -= 1

    async def _ping(self, errand: _Errand) -> PingTold | None:
        body: dict[str, Any] = {"campaign": errand.campaign, "source": "open-loop", "lead": dict(errand.lead.ping)}
        if errand.least_micros is not None:
            body["min_price"] = format_amount(errand.least_micros)
        late_ms, answer = await self._send(errand, "/v1/ping", body, errand.at_s)
        found = judge_ping(answer, errand.campaign, errand.least_micros)
        self._judged("ping", errand, errand.at_s, late_ms, found)
        return found if isinstance(found, PingTold) else None

    async def _post(self, errand: _Errand, offer: PingTold, due_s: float) -> None:
        body = {"ping_id": offer.ping_id, "lead": dict(errand.lead.contact)}
        late_ms, answer = await self._send(errand, "/v1/post", body, due_s, offer.ping_id)
        self._judged("post", errand, due_s, late_ms, judge_post(answer, offer))

    async def _send(
        self, errand: _Errand, path: str, body: Mapping[str, Any], due_s: float, ping_id: str | None = None
    ) -> tuple[float, Answer]:
        """How late a request was sent, and what came back."""
        headers = {"Authorization": f"Bearer {errand.part.key}", "Content-Type": JSON}
        if ping_id is not None:
            headers["Idempotency-Key"] = f"post-{ping_id}"  # not from the seed: the next run may meet the same exchange
        sent_s = self._now()
        status, found, content = await self._wire.send(path, headers, orjson.dumps(body))
        return (sent_s - due_s) * 1000, Answer(
            seller=errand.part.seller,
            path=path,
            http_status=status,
            media_type=found.get("content-type", ""),
            retry_after=found.get("retry-after"),
            body=content,
            elapsed_ms=(self._now() - sent_s) * 1000,
            ping_id=ping_id,
        )

    def _judged(
        self, what: str, errand: _Errand, due_s: float, late_ms: float, found: PingTold | PostTold | TurnedAway | str
    ) -> None:
        if isinstance(found, str):
            self._note(what, errand, due_s, WRONG, late_ms, found)
            return
        self._told(found)
        if isinstance(found, TurnedAway):
            self._note(what, errand, due_s, SHED, late_ms, found.code)
        else:
            self._note(what, errand, due_s, found.status, late_ms)

    def _note(self, what: str, errand: _Errand, due_s: float, outcome: str, late_ms: float, detail: str = "") -> None:
        took_ms = (self._now() - due_s) * 1000
        self.samples.append(Sample(what, errand.part.seller, due_s, took_ms, outcome, late_ms, detail))

    def _now(self) -> float:
        return time.monotonic() - self._began_s


def parts_of(scenario: Scenario, calm: tuple[str, str], flooding: tuple[str, str] | None) -> list[Part]:
    """Who sends what in a scenario; sellers are given with their keys."""
    parts = [Part(*calm, scenario.stages)]
    if scenario.flood:
        if flooding is None:
            raise SystemExit(f"{scenario.name} needs the key of a second seller: --flood-key")
        parts.append(Part(*flooding, scenario.flood))
    return parts


def run(
    url: str,
    scenario: Scenario,
    parts: Sequence[Part],
    *,
    per_s: float,
    seed: int,
    campaigns: Sequence[str],
    told: Callable[[Told], None] = lambda _: None,
) -> list[Sample]:
    """Puts a scenario on a gateway, to its end."""
    work = errands(parts, campaigns, per_s, f"{scenario.name} {seed}")
    print(f"{scenario.name}: {scenario.about}; {len(work)} leads in {scenario.seconds:,.0f} s, seed {seed}", flush=True)
    return uvloop.run(OpenLoop(url, told).run(work))


def judged(
    samples: Sequence[Sample], calm: str, limits: Limits, rate: Rate | None = None
) -> tuple[list[Sample], list[Check]]:
    """The calm seller's samples, and what is asked of them and of a flooding seller's, whose `rate` this is."""
    own = [sample for sample in samples if sample.seller == calm]
    found = checks(own, limits)
    if len(own) < len(samples):
        found += flood_checks([sample for sample in samples if sample.seller != calm], rate, limits.shed_share_max)
    return own, found


def main() -> int:
    options = _parser().parse_args()
    scenario = SCENARIOS[options.scenario]
    if options.seconds:
        scenario = scenario.lasting(options.seconds)
    limits = scenario.limits
    changes = {"ping_p99_ms": options.ping_p99_ms, "post_p99_ms": options.post_p99_ms, "shed_share_max": options.shed}
    limits = replace(limits, **{name: value for name, value in changes.items() if value is not None})
    flooding = ("flood", options.flood_key) if options.flood_key else None
    parts = parts_of(scenario, ("calm", options.key), flooding)
    samples = run(
        options.host, scenario, parts, per_s=options.rate, seed=options.seed, campaigns=options.campaign.split(",")
    )
    own, found = judged(samples, "calm", limits)
    late_ms = percentile(sorted(sample.late_ms for sample in samples), 99)
    print(spread(own, "ping"), spread(own, "post"), f"sent late, p99: {late_ms:.1f} ms", sep="\n")
    print(table(found))
    if options.out:
        document = {"samples": [sample._asdict() for sample in samples]}
        options.out.write_text(json.dumps(document))
    return 0 if all(check.held for check in found) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="http://127.0.0.1:8000")
    parser.add_argument("--key", required=True, help="of the seller who is measured")
    parser.add_argument("--flood-key", help="of a second seller, for flood")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="steady")
    parser.add_argument("--campaign", default="auto-us", help="one or more, with commas")
    parser.add_argument("--rate", type=float, default=40.0, help="leads a second at the usual load")
    parser.add_argument("--seconds", type=float, help="instead of the scenario's own time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ping-p99-ms", type=float, help="instead of the scenario's own limit; so are the next two")
    parser.add_argument("--post-p99-ms", type=float)
    parser.add_argument("--shed", type=float, help="share of requests that may be turned away, 0 to 1")
    parser.add_argument("--out", type=Path, help="a file for every sample, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
