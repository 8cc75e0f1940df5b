"""The three witnesses of a run, indexed for the rules that compare them, and the stories that they tell together."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from exchange.simulation.chaos.books import Attempt, Books, Broken, Change, Ping, Post
from exchange.simulation.chaos.diary import PING, POST, Asked, Seen, Struck
from exchange.simulation.chaos.market import Terms
from exchange.simulation.chaos.sellers import LEADS_PATH, POST_PATH

STORY_LINES_MAX = 30
STRIKES_MIN = 8
"""How many faults a story may name at least."""
_PORT = re.compile(r"gateway (:\d+)")


@dataclass(frozen=True, slots=True)
class Witnesses:
    """What everybody wrote down. `struck` is what the nemesis did; `has_settled`: there was time enough afterwards."""

    told: Sequence[Asked]
    seen: Sequence[Seen]
    books: Books
    terms: Terms
    broken: Sequence[Broken] = ()
    struck: Sequence[Struck] = ()
    has_settled: bool = True


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken, how, and the shortest story that shows it."""

    rule: str
    text: str
    story: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The witnesses by what they speak of."""

    witnesses: Witnesses
    pings: Mapping[str, Ping]
    posts: Mapping[str, Post]
    attempts: Mapping[str, Attempt]
    attempts_of: Mapping[str, list[Attempt]]  # by ping
    posts_told: Mapping[str, list[Asked]]  # by ping: everything that was answered, or not, about its post
    deliveries: Mapping[str, list[Seen]]  # by attempt
    bids: Mapping[tuple[str, str, str], Seen]  # by buyer, ping and order
    seen_of: Mapping[str, list[Seen]]  # by attempt: everything but pings
    changes_of: Mapping[str, list[Change]]  # by ping

    def violation(self, rule: str, text: str, *ping_ids: str) -> Violation:
        """A violation with the story of these leads."""
        return Violation(rule, text, tuple(self.story(ping_ids)))

    def story(self, ping_ids: Iterable[str]) -> list[str]:
        """What happened to these leads, in the order of time, with the faults that fell in between."""
        lines: list[tuple[float, str]] = []
        for ping_id in dict.fromkeys(ping_ids):
            lines += self._lines_of(ping_id)
        if not lines:
            return []
        lines += [(item.at, f"nemesis   {item.what}") for item in self._strikes(lines)]
        return [f"{clock(at)}  {text}" for at, text in sorted(lines)]

    def _strikes(self, lines: Sequence[tuple[float, str]]) -> Iterable[Struck]:
        """The faults that may matter to a story: at its gateways first, then those that were nearest in time."""
        moments = [at for at, _ in lines]
        ports = {port for _, text in lines for port in _PORT.findall(text)}

        def distance(item: Struck) -> tuple[bool, float]:
            is_elsewhere = not any(port in item.what for port in ports)
            return is_elsewhere, min(abs(item.at - at) for at in moments)

        within = [item for item in self.witnesses.struck if min(moments) - 1.0 <= item.at <= max(moments)]
        return sorted(within, key=distance)[: max(STORY_LINES_MAX - len(lines), STRIKES_MIN)]

    def _lines_of(self, ping_id: str) -> Iterable[tuple[float, str]]:
        short = ping_id[-8:]
        for asked in self.posts_told.get(ping_id, ()):
            key = f" key {asked.key[-6:]}" if asked.key else ""
            yield asked.at, f"{asked.seller:9} sends {asked.path} of {short}{key} to {_port(asked.gateway)}"
            yield asked.until, f"{asked.seller:9} is told of {short}: {_answer(asked)}"
        for change in self.changes_of.get(ping_id, ()):
            before = "" if change.before is None else f"{change.before} -> "
            epoch = "" if change.epoch is None else f" epoch {change.epoch}"
            note = f" ({change.note})" if change.note else ""
            what = f"{change.kind} {change.id[-8:]} of {change.subject}"
            yield change.at, f"postgres  {what}: {before}{change.after}{epoch}{note}"
        for attempt in self.attempts_of.get(ping_id, ()):
            for seen in self.seen_of.get(attempt.attempt_id, ()):
                yield seen.at, f"{seen.buyer:9} {_did(seen)} {seen.attempt_id[-8:]}"


def gather(witnesses: Witnesses) -> Evidence:
    """Indexes the witnesses."""
    books = witnesses.books
    attempts_of: dict[str, list[Attempt]] = {}
    for attempt in books.attempts:
        attempts_of.setdefault(attempt.ping_id, []).append(attempt)
    posts_told: dict[str, list[Asked]] = {}
    for asked in witnesses.told:
        if asked.path in {POST_PATH, LEADS_PATH} and (ping_id := ping_of(asked)) is not None:
            posts_told.setdefault(ping_id, []).append(asked)
    deliveries: dict[str, list[Seen]] = {}
    bids: dict[tuple[str, str, str], Seen] = {}
    seen_of: dict[str, list[Seen]] = {}
    for seen in witnesses.seen:
        if seen.what == PING:
            bids[seen.buyer, seen.ping_id, seen.order] = seen
            continue
        seen_of.setdefault(seen.attempt_id, []).append(seen)
        if seen.what == POST:
            deliveries.setdefault(seen.attempt_id, []).append(seen)
    changes_of: dict[str, list[Change]] = {}
    for change in books.history:
        changes_of.setdefault(change.ping_id, []).append(change)
    return Evidence(
        witnesses=witnesses,
        pings={item.ping_id: item for item in books.pings},
        posts={item.post_id: item for item in books.posts},
        attempts={item.attempt_id: item for item in books.attempts},
        attempts_of=attempts_of,
        posts_told=posts_told,
        deliveries=deliveries,
        bids=bids,
        seen_of=seen_of,
        changes_of=changes_of,
    )


def ping_of(asked: Asked) -> str | None:
    """The ping that a request was about, as far as the seller knows."""
    if asked.ping_id is not None:
        return asked.ping_id
    found = asked.document.get("ping_id") if asked.status == 200 else None
    return found if isinstance(found, str) else None


def clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]


def _port(gateway: str) -> str:
    return f"gateway :{gateway.rpartition(':')[2]}"


def _answer(asked: Asked) -> str:
    if asked.status is None:
        return f"nothing ({asked.trouble})"
    document = asked.document
    said = document.get("status") if asked.status == 200 else document.get("code")
    return f"{asked.status} {said or ''}".strip()


def _did(seen: Seen) -> str:
    again = f" again ({seen.repeat})" if seen.repeat else ""
    match seen.what:
        case "post":
            return f"gets{again}, notes {seen.decision}, will {seen.move}:"
        case "status":
            return f"is asked for the status, says {seen.decision}, will {seen.move}:"
        case _:
            return f"has answered ({seen.move}{', ' + seen.decision if seen.decision else ''}):"
