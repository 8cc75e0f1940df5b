"""What a buyer of a run does with a ping or a delivery: a pure function of his temper, the seed and the ids."""

import struct
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

ACCEPTED, REJECTED, DUPLICATE = "accepted", "rejected", "duplicate"


class Move(StrEnum):
    """How an answer leaves, whatever was decided and written down before."""

    ANSWER = "answer"
    SLOW = "slow"  # after the seller's deadline, before the endpoint's
    LATE = "late"  # after everybody's
    DROP = "drop"  # the connection is closed without a word
    RESET = "reset"
    ERROR = "error"  # 502, as from a proxy before him
    GARBAGE = "garbage"
    HALF = "half"  # half of the answer, then the end


@dataclass(frozen=True, slots=True)
class Temper:
    """One buyer: what he pays, what he promises about repeats, and how often he misbehaves.

    Bids lie evenly between the two, in whole cents. Of his deliveries he rejects and calls duplicates so many per
    cent, and `trouble_pct` of all answers go wrong. A buyer who is not `idempotent` takes a repeated delivery for a
    new lead. `idle_s` is after how long he closes a connection that nobody uses.
    """

    name: str
    bid_low_cents: int = 500
    bid_high_cents: int = 3000
    appetite: float = 1.0
    idempotent: bool = False
    has_status: bool = False
    reject_pct: float = 10.0
    duplicate_pct: float = 3.0
    trouble_pct: float = 10.0
    ping_trouble_pct: float = 2.0
    think_ms: float = 15.0
    slow_ms: float = 1800.0
    late_ms: float = 6000.0
    idle_s: float = 60.0


_TROUBLES = tuple(move for move in Move if move is not Move.ANSWER)


def bid_cents(temper: Temper, seed: int, ping_id: str, order: str) -> int | None:
    """What he bids in cents, or None for no bid; the same for the same ids."""
    luck = _chances("bid", seed, temper.name, ping_id, order)
    if luck[0] >= temper.appetite:
        return None
    return temper.bid_low_cents + int(luck[1] * (temper.bid_high_cents - temper.bid_low_cents + 1))


def ping_move(temper: Temper, seed: int, ping_id: str, order: str) -> Move:
    """How his bid leaves."""
    luck = _chances("ping move", seed, temper.name, ping_id, order)
    return _trouble(luck[1]) if luck[0] * 100 < temper.ping_trouble_pct else Move.ANSWER


def decision_of(temper: Temper, seed: int, attempt_id: str) -> str:
    """What he decides about a delivery: the same for the same attempt."""
    luck = _chances("decision", seed, temper.name, attempt_id)[0] * 100
    if luck < temper.reject_pct:
        return REJECTED
    return DUPLICATE if luck < temper.reject_pct + temper.duplicate_pct else ACCEPTED


def post_move(temper: Temper, seed: int, attempt_id: str, what: str, time: int) -> Move:
    """How an answer about an attempt leaves, the first time (0) or when he is asked again."""
    luck = _chances("post move", seed, temper.name, attempt_id, what, time)
    return _trouble(luck[1]) if luck[0] * 100 < temper.trouble_pct else Move.ANSWER


def wait_ms(temper: Temper, move: Move) -> float:
    """How long he takes."""
    return temper.think_ms + {Move.SLOW: temper.slow_ms, Move.LATE: temper.late_ms}.get(move, 0.0)


def _trouble(chance: float) -> Move:
    return _TROUBLES[int(chance * len(_TROUBLES))]


def _chances(*parts: object) -> tuple[float, ...]:
    """Two numbers from 0 up to, not including, 1."""
    digest = blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return tuple(number / 2**32 for number in struct.unpack(">2I", digest))
