"""Compares what buyers wrote down with what the exchange recorded, both ways."""

from collections.abc import Iterator

from exchange.simulation.conduct import Decision
from exchange.simulation.evidence import Evidence, amount_text
from exchange.simulation.witness import Violation


def buyer_disagreements(evidence: Evidence) -> Iterator[str]:
    """Every way in which the buyers' logs and the records tell different stories."""
    for rule in (_deliveries, _unrecorded_deliveries, _bids, _violations):
        yield from rule(evidence)


def _deliveries(evidence: Evidence) -> Iterator[str]:
    """The buyer's book says of each attempt what ours says; where ours does not know, he may have it either way."""
    for row in evidence.books.attempts:
        seen = evidence.deliveries.get(row.attempt_id, [])
        subject = f"Attempt {row.attempt_id} at {row.buyer} is {row.state}"
        decisions = {entry.decision for _, entry in seen}
        if row.state == "accepted" and decisions != {Decision.ACCEPTED}:
            yield f"{subject}, the buyers' logs say {_said(decisions)}."
        if row.state == "rejected" and not (seen and decisions <= {Decision.REJECTED, Decision.DUPLICATE}):
            yield f"{subject}, the buyers' logs say {_said(decisions)}."
        if row.state == "not_sent" and seen:
            yield f"{subject}, the buyers' logs say {_said(decisions)}."
        for buyer, entry in seen:
            if (buyer, entry.ping_id, entry.order) != (row.buyer, row.ping_id, row.order):
                yield f"Attempt {row.attempt_id} of order {row.order} reached {buyer} for order {entry.order}."
            if entry.price_micros != row.gross_micros:
                asked, recorded = amount_text(entry.price_micros), amount_text(row.gross_micros)
                yield f"Attempt {row.attempt_id} was delivered at {asked}, recorded is {recorded}."


def _unrecorded_deliveries(evidence: Evidence) -> Iterator[str]:
    """Buyers saw no attempt that is not recorded, none twice, and no two of them took the same lead, or leg of it."""
    takers: dict[tuple[str, int], list[str]] = {}
    for attempt_id, seen in evidence.deliveries.items():
        if attempt_id not in evidence.attempts:
            yield f"{seen[0][0]} has {seen[0][1].decision} attempt {attempt_id}, which is not recorded."
        if len(seen) > 1:
            yield f"Attempt {attempt_id} is in the buyers' logs {len(seen)} times."
        row = evidence.attempts.get(attempt_id)
        for buyer, entry in seen:
            if entry.decision is Decision.ACCEPTED:
                takers.setdefault((entry.ping_id, row.leg if row else 0), []).append(buyer)
    for (ping_id, _), buyers in takers.items():
        if len(buyers) > 1:
            yield f"The lead of ping {ping_id} was taken {len(buyers)} times: by {', '.join(sorted(buyers))}."


def _bids(evidence: Evidence) -> Iterator[str]:
    """Each delivery is at the price and under the id that the buyer bid; without a ping there is no id either."""
    for seen in evidence.deliveries.values():
        for buyer, post in seen:
            bid = evidence.bids.get((buyer, post.ping_id, post.order))
            if bid is None and post.bid_id is None:
                continue  # an order of fixed price is not asked
            if bid is None or bid.bid_micros is None:
                yield f"{buyer} was sent attempt {post.attempt_id} for a bid that he never made."
            elif (bid.bid_micros, bid.bid_id) != (post.price_micros, post.bid_id):
                made, asked = amount_text(bid.bid_micros), amount_text(post.price_micros)
                yield f"{buyer} bid {made} as {bid.bid_id} and was sent it at {asked} as {post.bid_id}."


def _violations(evidence: Evidence) -> Iterator[str]:
    """No call broke the buyers' wire."""
    for log in evidence.logs:
        for entry in log.entries:
            if isinstance(entry, Violation):
                yield f"{log.buyer} was called wrongly: {entry.what} ({entry.subject} {entry.detail})."


def _said(decisions: set[Decision]) -> str:
    return ", ".join(sorted(decisions)) or "nothing"
