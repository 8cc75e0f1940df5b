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

    `measured` is what the method goes by besides: credits or acceptances by order, in millionths. `fallback` ranks all
    behind the best. `of_two` says that a campaign has two methods, so that the record must say which of them decided.
    """

    adjustments: Mapping[str, Adjustment] = MappingProxyType({})
    method: Method = Method.HIGHEST_BID
    weights: Mapping[str, int] = MappingProxyType({})
    measured: Mapping[str, int] = MappingProxyType({})
    fallback: "Ranking | None" = None
    of_two: bool = False

    @property
    def takes_turns(self) -> bool:
        return self.method in {Method.WEIGHTED, Method.ROUND_ROBIN}

    @property
    def second(self) -> "Ranking":
        """The method that sells what this one leaves unsold."""
        return self.fallback or self

    def going_by(self, turns: Mapping[str, int], acceptance: Mapping[str, int]) -> "Ranking":
        """With what each method measures: the credits of turns, or acceptances."""
        measured = turns if self.takes_turns else acceptance if self.method is Method.PERFORMANCE else {}
        fallback = None if self.fallback is None else self.fallback.going_by(turns, acceptance)
        return self._replace(measured=measured, fallback=fallback)

    def as_then(self, inputs: Inputs | None) -> "Ranking":
        """As it was when a decision had these inputs: the method that decided, with what it went by."""
        if inputs is None:
            return self
        if self.fallback is not None and inputs.method is self.fallback.method:
            return self.fallback.as_then(inputs)
        fallback = None if self.fallback is None else self.fallback.as_then(inputs.after)
        measured = inputs.values if inputs.method is self.method else self.measured
        return self._replace(measured=measured, fallback=fallback)


def order_of(candidates: Sequence[Candidate], ranking: Ranking, ping_id: UUID) -> list[int]:
    """The numbers of the candidates, best first; equals by a hash of ping id and order key.

    The best is the method's, the rest its fallback's, where it has one.
    """
    ranks = _ranks(candidates, ranking)
    keys = [(ranks[index], tie_break(ping_id, item.order), index) for index, item in enumerate(candidates)]
    found = [index for *_, index in sorted(keys)]
    if ranking.fallback is None or len(found) < 3:  # a single one is ranked as it is
        return found
    rest = found[1:]
    return [found[0], *(rest[place] for place in order_of([candidates[i] for i in rest], ranking.fallback, ping_id))]


def measured_for(ranking: Ranking, orders: Sequence[str]) -> Ranking:
    """The ranking with what it goes by of these orders alone, each of them named: so it ranks them alike again."""
    measured: Mapping[str, int] = {}
    if ranking.takes_turns:
        measured = {order: ranking.measured.get(order, 0) for order in orders}
    elif ranking.method is Method.PERFORMANCE:
        measured = dict(zip(orders, known(orders, ranking.measured), strict=True))
    fallback = None if ranking.fallback is None else measured_for(ranking.fallback, orders)
    return ranking._replace(measured=measured, fallback=fallback)


def inputs_of(ranking: Ranking) -> Inputs | None:
    """What a ranking goes by besides bids and the market, and which of two methods it is; None: neither is to tell."""
    measures = ranking.takes_turns or ranking.method is Method.PERFORMANCE
    if not measures and not ranking.of_two:
        return None
    return Inputs(ranking.method, ranking.measured, None if ranking.fallback is None else inputs_of(ranking.fallback))


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
