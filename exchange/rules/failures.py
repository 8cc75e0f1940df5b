"""What counts against an endpoint: that it cannot be reached, is silent, breaks, or says what cannot be understood.

A no is an answer, and so is a 4xx: it comes from a buyer who works and does not want what he was sent. A 429 asks for
fewer requests, which is heeded elsewhere. What went wrong on our side is no evidence at all.
"""

from exchange.values.bid import Accepted, Bid, Delivery, NotSent, Rejected, Reply, Unknown
from exchange.values.reason import Reason

FAILURES = frozenset(
    {
        *(Reason.TIMEOUT, Reason.CONNECT_FAILED, Reason.TLS_FAILED, Reason.DNS_FAILED, Reason.SERVER_ERROR),
        *(Reason.INVALID_RESPONSE, Reason.RESPONSE_TOO_LARGE, Reason.CONNECTION_LOST, Reason.REDIRECT_REFUSED),
        Reason.LATE,
    }
)
_OURS = frozenset({Reason.INTERNAL_ERROR, Reason.ADDRESS_REFUSED, Reason.BUSY, Reason.NO_TIME_LEFT})
_SILENT = frozenset({Reason.TIMEOUT, Reason.LATE})
_UNSENT = frozenset(reason.wire_name for reason in FAILURES)


def is_failure(reply: Reply, elapsed_ms: float, fair_ms: int) -> bool | None:
    """Whether a reply to a ping counts against the endpoint; None where it proves nothing.

    Silence does only where the buyer had at least half of `fair_ms`, the time that he usually has: a seller in a hurry
    must not shut anybody out.
    """
    if isinstance(reply, Bid):
        return False
    if reply.reason in _OURS:
        return None
    if reply.reason in _SILENT:
        return True if elapsed_ms * 2 >= fair_ms else None
    return reply.reason in FAILURES


def failure_of(delivery: NotSent | Unknown) -> str:
    """What failed, in a word of ours: what the buyer has said may hold a lead."""
    word = delivery.detail.partition(" ")[0]
    if word in _UNSENT or word == "silence":
        return word
    return delivery.detail[:8] if word == "HTTP" else Reason.INVALID_RESPONSE.wire_name


def is_failed_delivery(delivery: Delivery) -> bool | None:
    """Whether what became of a post counts against the endpoint; None where it proves nothing."""
    match delivery:
        case Accepted() | Rejected():
            return False
        case NotSent(detail):
            return True if detail.partition(" ")[0] in _UNSENT else None
        case Unknown(detail):
            if detail.startswith("internal"):
                return None
            return not detail.startswith("HTTP 4")
