"""The records by themselves: money, caps at every prefix, states that only move forward, nothing left unresolved."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from exchange.simulation.chaos.books import Attempt, Change
from exchange.simulation.chaos.conduct import DUPLICATE
from exchange.simulation.chaos.evidence import Evidence, Violation
from exchange.simulation.chaos.market import Limits
from exchange.simulation.reconcile_money import money_disagreements

MONEY = "every sale moves its money once, and all of it"
SNAPSHOT = "the ledger is sound in every snapshot"
OVERDRAWN = "no balance is below its limit"
CAP = "no cap or budget is exceeded at any prefix"
FORWARD = "what is clear does not change"
ONE_LIVE = "a lead has one live attempt"
RESOLVED = "nothing stays unresolved that could be learned"

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DEAD = frozenset({"rejected", "not_sent", "presumed_rejected"})
_FOLLOWING: Mapping[str | None, frozenset[str]] = {
    None: frozenset({"prepared", "in_progress"}),
    "prepared": frozenset({"accepted", "rejected", "not_sent", "unknown"}),
    "unknown": frozenset({"accepted", "rejected", "not_sent"}),
    "in_progress": frozenset({"in_progress", "accepted", "rejected", "pending"}),
    "pending": frozenset({"pending", "accepted", "rejected"}),
}


def book_violations(evidence: Evidence) -> Iterator[Violation]:
    """Every way in which the records are wrong in themselves."""
    yield from _money(evidence)
    yield from _snapshots(evidence)
    yield from _history(evidence)
    yield from _caps(evidence)
    yield from _live(evidence)
    if evidence.witnesses.has_settled:
        yield from _unresolved(evidence)


def _money(evidence: Evidence) -> Iterator[Violation]:
    for text in money_disagreements(evidence.witnesses.books.money()):
        attempt = next((evidence.attempts[item] for item in _UUID.findall(text) if item in evidence.attempts), None)
        yield evidence.violation(MONEY, text, *([attempt.ping_id] if attempt else []))


def _snapshots(evidence: Evidence) -> Iterator[Violation]:
    found = set()
    for broken in evidence.witnesses.broken:
        if broken.name not in found:
            found.add(broken.name)
            at = datetime.fromtimestamp(broken.at, UTC).strftime("%H:%M:%S.%f")[:-3]
            yield Violation(SNAPSHOT, f"at {at} this did not hold: {broken.name} ({broken.rows} rows)")


def _history(evidence: Evidence) -> Iterator[Violation]:
    """Illegal steps, and accounts that went below their limit."""
    for change in evidence.witnesses.books.history:
        if change.kind == "overdrawn":
            yield Violation(OVERDRAWN, f"{change.subject} could spend {change.after} micro-units")
        elif change.after not in _FOLLOWING.get(change.before, frozenset()) and change.before != change.after:
            text = f"{change.kind} {change.id} went from {change.before} to {change.after}"
            yield evidence.violation(FORWARD, text, change.ping_id)


def _caps(evidence: Evidence) -> Iterator[Violation]:
    terms = evidence.witnesses.terms
    counted: dict[tuple[str, str, str, str], tuple[int, int]] = {}
    found = set()
    for change in evidence.witnesses.books.history:
        attempt = evidence.attempts.get(change.id) if change.kind == "attempt" else None
        sign = _sign(change)
        if attempt is None or attempt.test or not sign:
            continue
        post = evidence.posts[attempt.post_id]
        for scope, subject, limits in (
            ("order", attempt.order, terms.order_limits),
            ("seller", post.seller, terms.seller_limits),
            ("campaign", post.campaign, terms.campaign_limits),
        ):
            if subject in limits:
                over = _count(counted, (scope, subject), limits[subject], attempt, sign)
                if over and (scope, subject) not in found:
                    found.add((scope, subject))
                    yield evidence.violation(CAP, f"{scope} {subject}: {over}", attempt.ping_id)


def _count(
    counted: dict[tuple[str, str, str, str], tuple[int, int]],
    subject: tuple[str, str],
    limits: Limits,
    attempt: Attempt,
    sign: int,
) -> str | None:
    """Counts an attempt in its windows; says which limit is exceeded then."""
    over = None
    for period in {*limits.leads, *limits.micros}:
        name = (*subject, period, _window(period, attempt.at))
        leads, micros = counted.get(name, (0, 0))
        leads, micros = leads + sign, micros + sign * attempt.gross_micros
        counted[name] = leads, micros
        if leads > limits.leads.get(period, leads):
            over = f"{leads} live attempts in the {period}, {limits.leads[period]} is the cap"
        if micros > limits.micros.get(period, micros):
            over = f"{micros} micro-units in the {period}, {limits.micros[period]} is the budget"
    return over


def _sign(change: Change) -> int:
    """Whether a change makes a live attempt (1), ends one (-1), or neither (0)."""
    return (change.after not in _DEAD) - (change.before is not None and change.before not in _DEAD)


def _window(period: str, at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    year, week, _ = moment.isocalendar()
    return {"hour": f"{moment:%Y%m%d%H}", "day": f"{moment:%Y%m%d}", "week": f"{year}-{week}",
            "month": f"{moment:%Y%m}"}.get(period, "")  # fmt: skip


def _live(evidence: Evidence) -> Iterator[Violation]:
    for ping_id, attempts in evidence.attempts_of.items():
        live = [item for item in attempts if item.exclusive and item.state not in _DEAD]
        if len(live) > 1:
            said = ", ".join(f"{item.buyer} {item.state}" for item in live)
            yield evidence.violation(ONE_LIVE, f"ping {ping_id} has {len(live)} live attempts: {said}", ping_id)


def _unresolved(evidence: Evidence) -> Iterator[Violation]:
    """An attempt may stay unknown only where nobody can be asked, or where the answer proves nothing."""
    for attempt in evidence.attempts.values():
        if attempt.state == "prepared" or (attempt.state == "unknown" and not _is_hopeless(evidence, attempt)):
            text = f"attempt {attempt.attempt_id} at {attempt.buyer} is still {attempt.state}"
            yield evidence.violation(RESOLVED, text, attempt.ping_id)
    for post in evidence.posts.values():
        states = {item.state for item in evidence.attempts_of.get(post.ping_id, ())}
        if post.state == "in_progress" or (post.state == "pending" and "unknown" not in states):
            text = f"post {post.post_id} is still {post.state}, its attempts are {', '.join(sorted(states)) or 'none'}"
            yield evidence.violation(RESOLVED, text, post.ping_id)


def _is_hopeless(evidence: Evidence, attempt: Attempt) -> bool:
    terms = evidence.witnesses.terms
    if attempt.buyer in terms.has_status:
        return False
    said = {item.decision for item in evidence.deliveries.get(attempt.attempt_id, ())}
    return attempt.buyer not in terms.idempotent or said == {DUPLICATE}
