"""What a simulated buyer does with a ping or a post: a pure function of his manners, the seed and the ids."""

import struct
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import TypeVar

from exchange.simulation.manners import PERCENT_FIELDS_AT_PING, PERCENT_FIELDS_AT_POST, Manners
from exchange.values.money import MICROS_PER_CENT

_Move = TypeVar("_Move")


class PingMove(StrEnum):
    BID = "bid"
    NO_BID = "no_bid"
    ERROR = "error"
    GARBAGE = "garbage"
    SILENCE = "silence"
    ABSURD_PRICE = "absurd_price"


class PostMove(StrEnum):
    """How a post is answered; all but the first two have taken the lead."""

    REJECT = "reject"
    DUPLICATE = "duplicate"
    ACCEPT_THEN_DROP = "accept_then_drop"
    ACCEPT_THEN_ERROR = "accept_then_error"
    ACCEPT_SLOWLY = "accept_slowly"
    ACCEPT_LATE = "accept_late"
    ACCEPT = "accept"


class Decision(StrEnum):
    """What a buyer has in his own books, whatever became of his answer."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"


_PING_MOVES = (PingMove.ERROR, PingMove.GARBAGE, PingMove.SILENCE, PingMove.ABSURD_PRICE)  # as PERCENT_FIELDS_AT_PING
_POST_MOVES = (
    PostMove.REJECT,
    PostMove.DUPLICATE,
    PostMove.ACCEPT_THEN_DROP,
    PostMove.ACCEPT_THEN_ERROR,
    PostMove.ACCEPT_SLOWLY,
    PostMove.ACCEPT_LATE,
)  # as PERCENT_FIELDS_AT_POST


@dataclass(frozen=True, slots=True)
class PingPlan:
    """What happens with a ping. `bid_micros` and `bid_id` are set where he bids; `variety` picks among garbage."""

    move: PingMove
    think_ms: float
    bid_micros: int | None = None
    bid_id: str | None = None
    empty: bool = False
    variety: float = 0.0


@dataclass(frozen=True, slots=True)
class PostPlan:
    """What happens with a post; `wait_ms` is the whole time until it is answered or dropped."""

    move: PostMove
    wait_ms: float

    @property
    def decision(self) -> Decision:
        match self.move:
            case PostMove.REJECT:
                return Decision.REJECTED
            case PostMove.DUPLICATE:
                return Decision.DUPLICATE
            case _:
                return Decision.ACCEPTED


def plan_ping(manners: Manners, seed: int, ping_id: str, order: str) -> PingPlan:
    """The same for the same ids, however often and in whatever order they come."""
    luck = _chances("ping", seed, manners.name, ping_id, order)
    think_ms = _between(*manners.think_ms, luck[0])
    move = _pick(_PING_MOVES, [getattr(manners, name) for name in PERCENT_FIELDS_AT_PING], luck[1])
    if move is not None:
        return PingPlan(move, think_ms, variety=luck[2])
    if luck[3] >= manners.appetite:
        return PingPlan(PingMove.NO_BID, think_ms, empty=luck[2] * 100 < manners.empty_no_bid_pct)
    cents = manners.bid_low_cents + int(luck[4] * (manners.bid_high_cents - manners.bid_low_cents + 1))
    return PingPlan(PingMove.BID, think_ms, cents * MICROS_PER_CENT, f"{manners.name}-{int(luck[5] * 2**32):08x}")


def plan_post(manners: Manners, seed: int, attempt_id: str) -> PostPlan:
    """The same for the same attempt, however often it is delivered."""
    luck = _chances("post", seed, manners.name, attempt_id)
    think_ms = _between(*manners.think_ms, luck[0])
    move = _pick(_POST_MOVES, [getattr(manners, name) for name in PERCENT_FIELDS_AT_POST], luck[1]) or PostMove.ACCEPT
    extra_ms = {PostMove.ACCEPT_SLOWLY: manners.slow_ms, PostMove.ACCEPT_LATE: manners.late_ms}.get(move, 0)
    return PostPlan(move, think_ms + extra_ms)


def closed_phase(manners: Manners, seed: int) -> float:
    """Where in its round (0 to 1) the opening hours of a buyer begin, so that not all doors close at once."""
    return _chances("closed", seed, manners.name)[0]


def _chances(*parts: object) -> tuple[float, ...]:
    """Eight numbers from 0 up to, not including, 1."""
    digest = blake2b("\0".join(map(str, parts)).encode(), digest_size=32).digest()
    return tuple(number / 2**32 for number in struct.unpack(">8I", digest))


def _between(low: float, high: float, chance: float) -> float:
    return low + chance * (high - low)


def _pick(moves: tuple[_Move, ...], percentages: list[float], chance: float) -> _Move | None:
    """The move whose share of the hundred the chance falls in, None where it falls behind them all."""
    threshold = 0.0
    for move, percentage in zip(moves, percentages, strict=True):
        threshold += percentage / 100
        if chance < threshold:
            return move
    return None
