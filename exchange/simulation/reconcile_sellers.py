"""Compares what sellers were told with what the exchange recorded, both ways."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from exchange.simulation.books import AttemptRow, PingRow, PostRow
from exchange.simulation.evidence import OPEN_STATES, Evidence, amount_text
from exchange.simulation.tally import ACCEPTED, OFFERED, PENDING, REJECTED, Fault, PostTold, TurnedAway

EXPECTED_PROBLEMS = frozenset({"in_progress", "rate_limited", "overloaded", "unavailable"})
STATES_AFTER_TOLD: Mapping[str, frozenset[str]] = {
    ACCEPTED: frozenset({ACCEPTED}),
    REJECTED: frozenset({REJECTED}),
    PENDING: frozenset({PENDING, ACCEPTED, REJECTED}),  # a late answer may have settled it since
}


def seller_disagreements(evidence: Evidence) -> Iterator[str]:
    """Every way in which the sellers' tally and the records tell different stories."""
    for rule in (_ping_answers, _untold_pings, _post_answers, _untold_posts, _problems, _posts_and_attempts):
        yield from rule(evidence)


def _ping_answers(evidence: Evidence) -> Iterator[str]:
    """Every answer to a ping is recorded, with the same status, price and reason."""
    for ping_id, times in Counter(told.ping_id for told in evidence.tally.pings).items():
        if times > 1:
            yield f"Ping {ping_id} was the answer to {times} pings."
    for told in evidence.tally.pings:
        row, subject = evidence.pings.get(told.ping_id), f"Ping {told.ping_id}"
        if row is None:
            yield f"{subject}: {told.seller} was told {told.status}, and it is not recorded."
            continue
        if (row.seller, row.status) != (told.seller, told.status):
            yield f"{subject}: {told.seller} was told {told.status}, recorded is {row.seller} and {row.status}."
        if row.payout_micros != told.price_micros and told.status == OFFERED:
            said, recorded = amount_text(told.price_micros), amount_text(row.payout_micros)
            yield f"{subject}: offered was {said}, recorded is {recorded}."
        if row.reason != told.reason:
            yield f"{subject}: the reason told was {told.reason}, recorded is {row.reason}."
        if told.price_micros is not None and told.price_micros < (told.min_price_micros or 0):
            yield f"{subject}: offered was less than the seller's least price."


def _untold_pings(evidence: Evidence) -> Iterator[str]:
    """Every recorded ping was answered, but for those whose seller has no answer to one of his."""
    told = {record.ping_id for record in evidence.tally.pings}
    excused = Counter(fault.seller for fault in evidence.tally.faults if fault.ping_id is None)
    excused.update(
        item.seller for item in evidence.tally.turned_away if item.ping_id is None and item.http_status >= 500
    )
    untold = Counter(row.seller for row in evidence.books.pings if row.ping_id not in told)
    for seller, number in untold.items():
        if number > excused[seller]:
            explained = excused[seller]
            yield f"{number} pings of {seller} are recorded that he was not told of; {explained} can be explained."


def _post_answers(evidence: Evidence) -> Iterator[str]:
    """Every answer to a post is recorded, with the same status and the price that was promised."""
    for told in evidence.tally.posts:
        row, subject = evidence.posts.get(told.post_id), f"Post {told.post_id}"
        if row is None:
            yield f"{subject}: {told.seller} was told {told.status}, and it is not recorded."
            continue
        ping = evidence.pings.get(told.ping_id)
        if row.ping_id != told.ping_id or ping is None or ping.seller != told.seller:
            yield f"{subject}: it is recorded for another ping or seller."
        if row.state not in STATES_AFTER_TOLD[told.status]:
            yield f"{subject}: {told.seller} was told {told.status}, recorded is {row.state}."
        yield from _post_prices(evidence, told, ping)


def _post_prices(evidence: Evidence, told: PostTold, ping: PingRow | None) -> Iterator[str]:
    if told.status != ACCEPTED:
        return
    attempts = evidence.attempts_of_post.get(told.post_id, ())
    promised = ping.payout_micros if ping is not None else None
    is_kept = promised == told.price_micros or _is_shared(attempts)  # of a shared lead some legs may be refused
    if promised is not None and not is_kept:
        yield f"Post {told.post_id}: told {amount_text(told.price_micros)}, promised {amount_text(promised)}."
    paid = [row.payout_micros for row in attempts if row.state == ACCEPTED]
    if sum(paid) != told.price_micros:
        yield f"Post {told.post_id}: told {amount_text(told.price_micros)}, recorded is {amount_text(sum(paid))}."


def _untold_posts(evidence: Evidence) -> Iterator[str]:
    """Every finished post was answered, but for those that the seller has a fault or a problem for."""
    told = {record.post_id for record in evidence.tally.posts}
    troubles: list[Fault | TurnedAway] = [*evidence.tally.faults, *evidence.tally.turned_away]
    excused = {trouble.ping_id for trouble in troubles}
    for row in evidence.books.posts:
        if row.post_id not in told and row.ping_id not in excused and row.state != "in_progress":
            yield f"Post {row.post_id} is recorded as {row.state}, and nobody was told."


def _problems(evidence: Evidence) -> Iterator[str]:
    """No seller was answered outside the contract, or turned away for what is right in itself."""
    for fault in evidence.tally.faults:
        if fault.answered:
            yield f"{fault.seller} had a faulty answer to {fault.path}: {fault.what}."
    for item in evidence.tally.turned_away:
        if item.code not in EXPECTED_PROBLEMS:
            yield f"{item.seller} was turned away at {item.path}: {item.http_status} {item.code}."


def _posts_and_attempts(evidence: Evidence) -> Iterator[str]:
    """A post's state is that of its attempts; at most one of each leg may hold it; each pays what was promised."""
    for row in evidence.books.posts:
        attempts = evidence.attempts_of_post.get(row.post_id, ())
        states = Counter(attempt.state for attempt in attempts)
        live, sold = sum(states[state] for state in OPEN_STATES), states[ACCEPTED]
        holders = [attempt for attempt in attempts if attempt.state in {ACCEPTED, *OPEN_STATES}]
        if len(holders) > min(len({item.leg for item in holders}), len({item.buyer for item in holders})):
            yield f"Post {row.post_id} has {sold} accepted and {live} open attempts."
        expected = PENDING if live else ACCEPTED if sold else REJECTED
        if row.state not in {expected, "in_progress"}:
            yield f"Post {row.post_id} is {row.state}, its attempts say {expected}."
        yield from _legs(evidence, row, attempts)
    for attempt in evidence.books.attempts:
        post, ping = evidence.posts.get(attempt.post_id), evidence.pings.get(attempt.ping_id)
        if post is None or ping is None or post.ping_id != attempt.ping_id:
            yield f"Attempt {attempt.attempt_id} belongs to no recorded post of its ping."
        elif not attempt.leg and attempt.payout_micros != ping.payout_micros:
            paid, promised = amount_text(attempt.payout_micros), amount_text(ping.payout_micros)
            yield f"Attempt {attempt.attempt_id} pays {paid}, promised was {promised}."


def _legs(evidence: Evidence, row: PostRow, attempts: Sequence[AttemptRow]) -> Iterator[str]:
    """The attempts of a leg all pay the same, and the legs together no more than was promised."""
    promised: dict[int, set[int]] = {}
    for attempt in attempts if _is_shared(attempts) else ():
        promised.setdefault(attempt.leg, set()).add(attempt.payout_micros)
    ping, paid = evidence.pings.get(row.ping_id), sum(map(max, promised.values()))
    if any(len(payouts) > 1 for payouts in promised.values()):
        yield f"Post {row.post_id} has a leg whose attempts do not pay the same."
    if ping is not None and paid > (ping.payout_micros or 0):
        yield f"Post {row.post_id} pays {amount_text(paid)}, promised was {amount_text(ping.payout_micros)}."


def _is_shared(attempts: Sequence[AttemptRow]) -> bool:
    return any(attempt.leg for attempt in attempts)
