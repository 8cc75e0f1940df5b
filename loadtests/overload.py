"""Offers a gateway five times the pings that it can answer, and sees that it goes on answering what it can.

    python loadtests/overload.py                            # a minute of it, some three in all; needs gcc
    python loadtests/overload.py --seconds 10               # a short one
    python loadtests/overload.py --times 3 --think-ms 100
    python loadtests/overload.py --asked 20                 # buyers for a ping; a ping costs more, a refusal does not

First what it can answer is found: many connections that ping one after the other. Then, without waiting for answers,
one seller sends `--times` as many, while another sends a twentieth of what can be answered, and a third posts what he
is offered. In the end it is seen how soon half the load is served again as if nothing had been.

How much is answered of what can be is found by turns: a few seconds of overload between two searches for what can be
answered, several times. Machines change their pace within the minute, and the median of such pairs does not feel it.
Beside it stands the most that could be: each ping answered has `--times` less one refusals beside it, and they cost CPU
time too.

The exit status is 1 where fewer than nine tenths of what can be answered were; a refusal in a hundred took longer than
10 ms; more than one answer in a thousand was wrong, late or another error; the quiet seller was refused more than one
ping in a hundred; a post was not accepted; or the gateway was not back in ten seconds. Buyers and load are the
benchmark kit's. On a machine that is busy with other things the gateway waits for a CPU, and so do refusals.
"""

import argparse
import json
import os
import statistics
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request

from bench_kit import BENCH, DIRECT, Failed
from exchange_process import Exchange
from one_gateway import ASKED, Site, run, serving, world

ORDERS = 1_000
SELLERS = ("acme", "quiet", "poster")
PING_TIMEOUT_MS = 1_000  # of the kit's market
LATE_SHARE_MAX = 0.001
GOODPUT_MIN, QUIET_SHARE, QUIET_REFUSED_MAX = 0.9, 0.05, 0.01
REFUSAL_MS_MAX, BACK_S_MAX = 10.0, 10.0
POST_EVERY_S = 0.25
REST_S = 3.0
"""After an overload: until then the gateway keeps its lines short, and who comes back at once is refused once more."""
CONTACT = {"first_name": "Ada", "phone": "+13125550123", "email": "ada@example.com"}

Found = dict[str, Any]


def main() -> int:
    options = arguments()
    cpus = sorted(os.sched_getaffinity(0))
    gateway_cpus, load_cpus = set(cpus[:1]), set(cpus[1:2] or cpus)
    os.sched_setaffinity(0, load_cpus)  # Postgres and Valkey inherit it
    return run("overload", partial(offered, options, gateway_cpus, load_cpus))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of overload")
    parser.add_argument("--times", type=float, default=5, help="how many times what can be answered is offered")
    parser.add_argument("--think-ms", type=float, default=20, help="how long buyers think")
    parser.add_argument("--asked", type=int, default=ASKED, help="buyers asked for a ping")
    parser.add_argument("--connections", type=int, default=80, help="of the search for what can be answered")
    parser.add_argument("--peaks", type=int, default=3, help="such searches before")
    parser.add_argument("--peak-seconds", type=float, default=2, help="of each")
    parser.add_argument("--turns", type=int, default=7, help="of overload, each between two such searches")
    parser.add_argument("--turn-seconds", type=float, default=5, help="of each")
    parser.add_argument("--report", action="store_true", help="say what does not hold, but do not fail for it")
    return parser.parse_args()


def offered(options: argparse.Namespace, gateway_cpus: set[int], load_cpus: set[int], exchange: Exchange) -> list[str]:
    with (
        world(
            exchange, load_cpus, orders=ORDERS, think_ms=options.think_ms, sellers=SELLERS, asked=options.asked
        ) as its_world,
        serving(its_world, gateway_cpus) as site,
    ):
        return measure(site, options)


# ---- measuring ----


@dataclass(frozen=True)
class Peak:
    """What can be answered, and the gateway's CPU time for a ping of it."""

    rate: float
    cpu_us: float


@dataclass(frozen=True)
class Stretch:
    """Some time in overload: what became of it, and what of the CPUs the gateway had, and waited for, meanwhile."""

    seconds: float
    cpu_us: float
    waited_s: float
    flood: Found
    quiet: Found

    @property
    def good(self) -> float:
        """Pings answered in a second."""
        return float(self.flood["rate"] + self.quiet["rate"])

    def refusal_us(self, ping_us: float) -> float:
        """The gateway's CPU time for a refusal: what is left by the pings that it answered, which cost as ever."""
        refused = self.flood["refused_in_all"] + self.quiet["refused_in_all"]
        answered = self.flood["answers"] + self.quiet["answers"] - refused
        return float((self.cpu_us - answered * ping_us) / max(1, refused))


@dataclass(frozen=True)
class Turn:
    """Some overload between two searches for what can be answered."""

    usual: Peak
    stretch: Stretch

    @property
    def goodput(self) -> float:
        """What was answered of what can be."""
        return self.stretch.good / self.usual.rate

    def goodput_max(self, times: float) -> float:
        """So many refusals beside each ping leave so much of the gateway to pings."""
        return 1 - (times - 1) * self.stretch.refusal_us(self.usual.cpu_us) / self.usual.cpu_us


def measure(site: Site, options: argparse.Namespace) -> list[str]:
    print(f"machine: {os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f} before anything was begun")
    site.load(seconds=1, conns=options.connections)
    peaks = [peak(site, options) for _ in range(options.peaks)]
    capacity = statistics.median(found.rate for found in peaks)
    print(f"can be answered: {spread([found.rate for found in peaks])} pings/s", flush=True)
    posted, over = Posted(), threading.Event()
    poster = threading.Thread(target=post_until, args=(site, over, posted))
    poster.start()
    try:
        minute = overload(site, options.times, capacity, options.seconds)
    finally:
        over.set()
        poster.join()
    back_s = time_to_be_back(site, capacity / 2)
    show(minute, posted, back_s)
    turns = by_turns(site, options)
    show_turns(turns, options.times)
    faults = faults_of(minute, posted, back_s, turns)
    return told(faults) if options.report else faults


def by_turns(site: Site, options: argparse.Namespace) -> list[Turn]:
    time.sleep(REST_S)
    turns, before = [], peak(site, options)
    for _ in range(options.turns):
        stretch = overload(site, options.times, before.rate, options.turn_seconds)
        time.sleep(REST_S)
        after = peak(site, options)
        turns.append(Turn(Peak((before.rate + after.rate) / 2, (before.cpu_us + after.cpu_us) / 2), stretch))
        before = after
    return turns


def peak(site: Site, options: argparse.Namespace) -> Peak:
    cpu_us = site.cpu_us()
    found = site.load(seconds=options.peak_seconds, conns=options.connections)
    if found["bad"] or found["refused_in_all"]:
        counts = f"{found['bad']} bad answers, {found['refused_in_all']} refused"
        raise Failed(f"{counts}, while it was found what can be answered")
    return Peak(float(found["rate"]), (site.cpu_us() - cpu_us) / found["answers"])


def told(faults: list[str]) -> list[str]:
    for fault in faults:
        print(f"does not hold: {fault}")
    return []


@dataclass
class Posted:
    """Pings and posts of a seller who does one after the other, beside the others' overload."""

    took_ms: list[float] = field(default_factory=list)
    refused_pings: int = 0
    wrong: list[str] = field(default_factory=list)


def overload(site: Site, times: float, capacity: float, seconds: float) -> Stretch:
    """One seller floods, and one goes on as ever."""
    results: dict[str, Found] = {}
    rates = {"acme": capacity * times, "quiet": capacity * QUIET_SHARE}

    def send_on(seller: str) -> None:
        more = {"conns": 1_500} if seller == "acme" else {"conns": 200}
        results[seller] = site.load(seller, seconds=seconds, warm=2, rate=rates[seller], **more)

    began_s, cpu_us, waited_ns = time.monotonic(), site.cpu_us(), site.running.waited_ns()
    threads = [threading.Thread(target=send_on, args=(seller,)) for seller in rates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if results.keys() != rates.keys():
        raise Failed("the load could not be made")
    waited_s = (site.running.waited_ns() - waited_ns) / 1e9
    return Stretch(time.monotonic() - began_s, site.cpu_us() - cpu_us, waited_s, results["acme"], results["quiet"])


def post_until(site: Site, over: threading.Event, posted: Posted) -> None:
    bodies = [json.loads(line) for line in (BENCH / "pings.jsonl").read_text().splitlines()]
    while not over.wait(POST_EVERY_S):
        ping = bodies[0] | {"ref": uuid.uuid4().hex[:16]}
        status, offer = send(site, "/v1/ping", ping)
        if status == 503:
            posted.refused_pings += 1
            continue
        contact = CONTACT | {"email": f"{uuid.uuid4().hex}@example.com"}
        began_s = time.monotonic()
        status, answer = send(site, "/v1/post", {"ping_id": offer.get("ping_id"), "lead": contact})
        posted.took_ms.append((time.monotonic() - began_s) * 1_000)
        if (status, answer.get("status")) != (200, "accepted"):
            posted.wrong.append(f"{status} {answer}")


def send(site: Site, path: str, document: object) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {site.keys['poster']}"}
    request = Request(f"http://127.0.0.1:{site.port}{path}", json.dumps(document).encode(), headers)  # loopback
    try:
        with DIRECT.open(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def time_to_be_back(site: Site, rate: float) -> float:
    """Seconds until nothing is refused, and nothing slow, at half of what can be answered."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < 2 * BACK_S_MAX:
        found = site.load(seconds=1, warm=0, rate=rate, conns=200)
        if not found["bad"] and not found["refused"] and found["p99_ms"] < PING_TIMEOUT_MS / 2:
            return time.monotonic() - began_s - 1
    return time.monotonic() - began_s


# ---- what is said of it ----


def show(minute: Stretch, posted: Posted, back_s: float) -> None:
    flood, quiet = minute.flood, minute.quiet
    print(f"answered in overload: {minute.good:.0f} pings/s; {flood['refused']} refused")
    print(f"refusals: p50 {flood['refused_p50_ms']:.1f}, p99 {flood['refused_p99_ms']:.1f} ms")
    print(f"answers: p50 {flood['p50_ms']:.0f}, p99 {flood['p99_ms']:.0f}, longest {flood['max_ms']:.0f} ms")
    print(f"the quiet seller: {quiet['answers']} pings, {quiet['refused']} refused, p99 {quiet['p99_ms']:.0f} ms")
    took = posted.took_ms or [0.0]
    print(f"posts: {len(posted.took_ms)}, median {statistics.median(took):.0f}, longest {max(took):.0f} ms", end="; ")
    print(f"of the poster's pings {posted.refused_pings} refused")
    print(f"the gateway had {minute.cpu_us / minute.seconds / 1e4:.0f} % of a CPU, ", end="")
    print(f"and waited for it {100 * minute.waited_s / minute.seconds:.0f} % of the time; ", end="")
    print(f"the load was late by {flood['late_p50_ms']:.1f} ms, 1 % of it by {flood['late_p99_ms']:.1f} ms")
    print(f"back after {back_s:.1f} s; load average {os.getloadavg()[0]:.1f}", flush=True)


def show_turns(turns: list[Turn], times: float) -> None:
    floods = [turn.stretch.flood for turn in turns]
    print(f"by turns, {len(turns)} times:")
    print(f"  can be answered: {spread([turn.usual.rate for turn in turns])} pings/s, ", end="")
    print(f"{spread([turn.usual.cpu_us for turn in turns])} us of CPU each")
    print(f"  answered in overload: {spread([100 * turn.goodput for turn in turns])} % of that; ", end="")
    print(f"at most {spread([100 * turn.goodput_max(times) for turn in turns])} %, at ", end="")
    print(f"{spread([turn.stretch.refusal_us(turn.usual.cpu_us) for turn in turns])} us a refusal")
    print(f"  refusals: p99 {spread([flood['refused_p99_ms'] for flood in floods], 1)} ms; ", end="")
    own_us = [1e6 * flood["own_cpu_s"] / max(1, flood["sent"]) for flood in floods]
    print(f"{spread(own_us)} us a request to the load generator", flush=True)


def spread(found: list[float], digits: int = 0) -> str:
    """The median, the least and the most."""
    return f"{statistics.median(found):.{digits}f} ({min(found):.{digits}f}-{max(found):.{digits}f})"


def faults_of(minute: Stretch, posted: Posted, back_s: float, turns: list[Turn]) -> list[str]:
    flood, quiet, goodput = minute.flood, minute.quiet, statistics.median(turn.goodput for turn in turns)
    stretches = [minute, *(turn.stretch for turn in turns)]
    answers = sum(found["answers"] for stretch in stretches for found in (stretch.flood, stretch.quiet))
    late = sum(found["bad"] for stretch in stretches for found in (stretch.flood, stretch.quiet))
    quiet_refused = quiet["refused"] / max(1, quiet["answers"])
    checks = {
        f"answered {goodput:.0%} of what can be": goodput < GOODPUT_MIN,
        f"refusals took {flood['refused_p99_ms']:.1f} ms": flood["refused_p99_ms"] > REFUSAL_MS_MAX,
        "nobody was refused: it was no overload": flood["refused"] == 0,
        f"{late} answers wrong, late or another error": late > LATE_SHARE_MAX * answers,
        f"answers took {flood['p999_ms']:.0f} ms": flood["p999_ms"] > PING_TIMEOUT_MS,
        f"{quiet_refused:.1%} of the quiet seller's pings refused": quiet_refused > QUIET_REFUSED_MAX,
        f"{len(posted.wrong)} posts not accepted: {posted.wrong[:2]}": bool(posted.wrong) or not posted.took_ms,
        f"back after {back_s:.1f} s": back_s > BACK_S_MAX,
    }
    return [fault for fault, found in checks.items() if found]


if __name__ == "__main__":
    sys.exit(main())
