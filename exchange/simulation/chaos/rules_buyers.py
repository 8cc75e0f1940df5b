"""What buyers wrote down, held against the records and against each other: one taker a lead, and nobody else's data."""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import orjson

from exchange.simulation.chaos.conduct import ACCEPTED, DUPLICATE, REJECTED
from exchange.simulation.chaos.diary import POST
from exchange.simulation.chaos.evidence import Evidence, Violation
from exchange.values.money import parse_amount

ONE_TAKER = "a lead has one taker"
SENT_ONCE = "a delivery is repeated only where that does no harm"
ONE_SALE_A_PERSON = "a person is sold once within the window"
SAME_STORY = "the books say what the buyer's say"
RECORDED_BEFORE = "a delivery is recorded before it is made"
AS_BID = "a lead is sold at the price that was bid"
NO_CONTACT = "only who is delivered to sees contact data"

_DIGITS = re.compile(r"\d{10,}")
_HASH = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)
_MAILBOX = re.compile(r"canary-\d+-[0-9a-f]{8}", re.IGNORECASE)


def buyer_violations(evidence: Evidence) -> Iterator[Violation]:
    """Every way in which a buyer's own log says that something went wrong."""
    yield from _takers(evidence)
    yield from _persons(evidence)
    yield from _attempts(evidence)
    yield from _deliveries(evidence)
    yield from _contact_data(evidence)


def _takers(evidence: Evidence) -> Iterator[Violation]:
    takers: dict[str, set[str]] = {}
    for attempt_id, seen in evidence.deliveries.items():
        for item in seen:
            if item.decision == ACCEPTED:
                takers.setdefault(item.ping_id, set()).add(item.buyer)
        again = [item for item in seen if item.repeat and item.buyer not in evidence.witnesses.terms.idempotent]
        if again:
            times = f"{len(again) + 1} times to {again[0].buyer}, who takes each for a new one"
            text = f"attempt {attempt_id} was sent {times}"
            yield evidence.violation(SENT_ONCE, text, again[0].ping_id)
    for ping_id, buyers in takers.items():
        if len(buyers) > 1:
            yield evidence.violation(ONE_TAKER, f"the lead of ping {ping_id} was taken by {_list(buyers)}", ping_id)


def _persons(evidence: Evidence) -> Iterator[Violation]:
    """By the buyers' own logs, so that the exchange's idea of a person is put to the test."""
    terms = evidence.witnesses.terms
    sales: dict[tuple[str, str, str], set[str]] = {}
    for seen in evidence.witnesses.seen:
        if seen.what != POST or seen.decision != ACCEPTED:
            continue
        post = _document(seen.body)
        lead = post.get("lead")
        if post.get("test") or not isinstance(lead, dict):
            continue
        for scope, subject, windows in (
            ("campaign", str(post.get("campaign")), terms.duplicate_campaigns),
            ("buyer", seen.buyer, terms.duplicate_buyers),
        ):
            if subject in windows:
                for name in ("phone", "email"):
                    sales.setdefault((scope, subject, str(lead.get(name)).lower()), set()).add(seen.ping_id)
    found = set()
    for (scope, subject, _), pings in sales.items():
        names = tuple(sorted(pings))
        if len(names) > 1 and names not in found:
            found.add(names)
            yield evidence.violation(
                ONE_SALE_A_PERSON, f"one person was sold {len(names)} times in {scope} {subject}", *names
            )


def _attempts(evidence: Evidence) -> Iterator[Violation]:
    """Where the books are sure, the buyer's log says the same; where they are not, it may say anything."""
    for attempt in evidence.attempts.values():
        seen = evidence.deliveries.get(attempt.attempt_id, [])
        said = {item.decision for item in seen}
        right = {
            "accepted": said == {ACCEPTED},
            "rejected": bool(said) and said <= {REJECTED, DUPLICATE},
            "not_sent": not said,
        }.get(attempt.state, True)
        if not right:
            text = f"attempt {attempt.attempt_id} at {attempt.buyer} is {attempt.state}, his log says {_list(said)}"
            yield evidence.violation(SAME_STORY, text, attempt.ping_id)


def _deliveries(evidence: Evidence) -> Iterator[Violation]:
    for attempt_id, seen in evidence.deliveries.items():
        first, attempt = seen[0], evidence.attempts.get(attempt_id)
        if attempt is None or attempt.at > first.at:
            yield evidence.violation(
                RECORDED_BEFORE, f"{first.buyer} has attempt {attempt_id}, of which there is no record", first.ping_id
            )
            continue
        if (first.buyer, first.ping_id, first.order) != (attempt.buyer, attempt.ping_id, attempt.order):
            text = f"attempt {attempt_id} of {attempt.order} was delivered to {first.buyer} for {first.order}"
            yield evidence.violation(SAME_STORY, text, attempt.ping_id)
        bid = evidence.bids.get((first.buyer, first.ping_id, first.order))
        prices = {parse_amount(first.price), attempt.gross_micros, parse_amount(bid.price) if bid else None}
        if len(prices) > 1:
            made = bid.price if bid else "nothing"
            text = f"attempt {attempt_id}: bid was {made}, asked {first.price}, recorded {attempt.gross_micros}"
            yield evidence.violation(AS_BID, text, attempt.ping_id)


def _contact_data(evidence: Evidence) -> Iterator[Violation]:
    """No canary in what a buyer saw before he was delivered to, in plain or hashed."""
    digits, mailboxes, hashes = set(), set(), set()
    for asked in evidence.witnesses.told:
        digits.add(asked.phone[-10:])
        mailboxes.add(asked.email.partition("@")[0].lower())
        for text in (asked.phone, asked.phone[1:], asked.phone[2:], asked.email):
            hashes.add(sha256(text.encode()).hexdigest())
    for seen in evidence.witnesses.seen:
        if seen.what == POST or not seen.body:
            continue
        shown = (
            any(run[i : i + 10] in digits for run in _DIGITS.findall(seen.body) for i in range(len(run) - 9))
            or any(item.lower() in mailboxes for item in _MAILBOX.findall(seen.body))
            or any(item.lower() in hashes for item in _HASH.findall(seen.body))
        )
        if shown:
            text = f"{seen.buyer} was shown contact data with ping {seen.ping_id}"
            yield evidence.violation(NO_CONTACT, text, seen.ping_id)


def _document(body: str) -> dict[str, Any]:
    found = orjson.loads(body)
    return found if isinstance(found, dict) else {}


def _list(items: set[str]) -> str:
    return " and ".join(sorted(items)) or "nothing"
