"""Ranking: the order in which valid bids may have a lead, by the campaign's method. It is total, and replayable."""

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, assert_never
from uuid import UUID

from exchange.rules.acceptance import known
from exchange.rules.turns import parts
from exchange.values.selling import Adjustment, Method
from exchange.values.trace import Inputs

_MILLION = 1_000_000


class Candidate(NamedTuple):
    """A valid bid as it is ranked."""

    order: str
    gross_micros: int
    priority: int


class Ranking(NamedTuple):
    """How a campaign ranks. Who is not named has no adjustment and the weight 1.

    `measured` is what the method goes by besides: credits or acceptances by order, in millionths.
    """

    adjustments: Mapping[str, Adjustment] = MappingProxyType({})
    method: Method = Method.HIGHEST_BID
    weights: Mapping[str, int] = MappingProxyType({})
    measured: Mapping[str, int] = MappingProxyType({})

    @property
    def takes_turns(self) -> bool:
        return self.method in {Method.WEIGHTED, Method.ROUND_ROBIN}


def order_of(candidates: Sequence[Candidate], ranking: Ranking, ping_id: UUID) -> list[int]:
    """The numbers of the candidates, best first; equals by a hash of ping id and order key."""
    ranks = _ranks(candidates, ranking)
    keys = [(ranks[index], tie_break(ping_id, item.order), index) for index, item in enumerate(candidates)]
    return [index for *_, index in sorted(keys)]


def inputs_of(orders: Sequence[str], ranking: Ranking) -> Inputs | None:
    """What a method that measures went by for these orders: with it in place of `measured`, it ranks them alike."""
    if ranking.takes_turns:
        return Inputs(ranking.method, {order: ranking.measured.get(order, 0) for order in orders})
    if ranking.method is Method.PERFORMANCE:
        return Inputs(ranking.method, dict(zip(orders, known(orders, ranking.measured), strict=True)))
    return None


def _ranks(candidates: Sequence[Candidate], ranking: Ranking) -> list[tuple[int, ...]]:
    """What each candidate is sorted by, lowest first."""
    values = [worth(item, ranking.adjustments.get(item.order)) for item in candidates]
    orders = [item.order for item in candidates]
    match ranking.method:
        case Method.HIGHEST_BID:
            return [(-value, item.priority) for item, value in zip(candidates, values, strict=True)]
        case Method.PRIORITY:
            return [(item.priority, -value) for item, value in zip(candidates, values, strict=True)]
        case Method.WEIGHTED | Method.ROUND_ROBIN:
            given = zip(orders, parts(orders, ranking.weights), strict=True)
            return [(-ranking.measured.get(order, 0) - part,) for order, part in given]
        case Method.PERFORMANCE:
            chances = known(orders, ranking.measured)
            expected = (value * chance for value, chance in zip(values, chances, strict=True))
            return [(-value, item.priority) for item, value in zip(candidates, expected, strict=True)]
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
