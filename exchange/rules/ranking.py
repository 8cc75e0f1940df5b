"""Ranking: the order in which valid bids may have a lead, by the campaign's method. It is total, and replayable."""

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, assert_never
from uuid import UUID

from exchange.values.selling import Adjustment, Method

_MILLION = 1_000_000


class Candidate(NamedTuple):
    """A valid bid as it is ranked."""

    order: str
    gross_micros: int
    priority: int


class Ranking(NamedTuple):
    """How a campaign ranks. Who is not named has no adjustment."""

    adjustments: Mapping[str, Adjustment] = MappingProxyType({})
    method: Method = Method.HIGHEST_BID


def order_of(candidates: Sequence[Candidate], ranking: Ranking, ping_id: UUID) -> list[int]:
    """The numbers of the candidates, best first; equals by a hash of ping id and order key."""
    keys = [(_rank(item, ranking), tie_break(ping_id, item.order), index) for index, item in enumerate(candidates)]
    return [index for *_, index in sorted(keys)]


def _rank(candidate: Candidate, ranking: Ranking) -> tuple[int, ...]:
    """What a candidate is sorted by, lowest first."""
    value = worth(candidate, ranking.adjustments.get(candidate.order))
    match ranking.method:
        case Method.HIGHEST_BID:
            return -value, candidate.priority
        case Method.PRIORITY:
            return candidate.priority, -value
    assert_never(ranking.method)


def worth(candidate: Candidate, adjustment: Adjustment | None) -> int:
    """A gross price after boost or penalty, in millionths of a micro-unit, so that it is exact; at least nothing."""
    if adjustment is None:
        return candidate.gross_micros * _MILLION
    parts = candidate.gross_micros * (_MILLION + adjustment.parts_per_million)
    return max(0, parts + adjustment.amount_micros * _MILLION)


def tie_break(ping_id: UUID, order: str) -> bytes:
    """Ranks equals fairly over pings, and alike on every replay."""
    return hashlib.blake2b(ping_id.bytes + order.encode(), digest_size=8).digest()
