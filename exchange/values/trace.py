"""The record of one ping: one value that feeds the row in Postgres, the metrics, the log line and `explain`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from exchange.values.market import Sale
from exchange.values.reason import Reason
from exchange.values.selling import Method
from exchange.values.vertical import Lead

_made: Final = tuple.__new__  # makes a named tuple in half the time that its class takes


class PingStatus(StrEnum):
    OFFERED = "offered"
    UNSOLD = "unsold"
    REFUSED = "refused"


class BidOutcome(NamedTuple):
    """What became of one bid. `shares_max` is of a shared one: by how many at most the lead may be bought."""

    sale: Sale
    gross_micros: int
    bid_id: str | None
    shares_max: int | None
    reason: Reason


class OrderOutcome(NamedTuple):
    """What became of one order that the filters let through: its reason, and its bid where it made one.

    `bids` holds each bid of an order that made several, and of every order where leads are shared.
    """

    order: str
    buyer: str
    reason: Reason
    gross_micros: int | None = None
    bid_id: str | None = None
    elapsed_ms: float | None = None
    detail: str = ""
    bids: tuple[BidOutcome, ...] = ()


BidRow = tuple[Sale, int, str | None, int | None, Reason]
"""A `BidOutcome` without its names."""

OutcomeRow = tuple[str, str, Reason, int | None, str | None, float | None, str, tuple[BidRow, ...]]
"""An `OrderOutcome` without its names: so it is journaled, and so fifty are made and written in half the time."""


def named(rows: Iterable[OutcomeRow]) -> tuple[OrderOutcome, ...]:
    """Outcomes by the names of their fields."""
    return tuple([_made(OrderOutcome, (*row[:-1], _named_bids(row[-1])) if row[-1] else row) for row in rows])


def _named_bids(bids: Iterable[BidRow]) -> tuple[BidOutcome, ...]:
    return tuple([_made(BidOutcome, bid) for bid in bids])


def not_asked(order: str, buyer: str, reason: Reason) -> OutcomeRow:
    """The outcome of an order that was kept out before anybody was asked."""
    return order, buyer, reason, None, None, None, "", ()


def with_detail(row: OutcomeRow, detail: str) -> OutcomeRow:
    """The outcome with what helps an operator."""
    return (*row[:6], detail, row[7])


class Rung(NamedTuple):
    """One step of an offer's ladder: an order that may take the lead at its own gross price.

    The rungs of a shared offer are first the winners of its legs, leg 1 first, each with the `payout_micros` that is
    promised for its leg; then the reserve that all legs have in common.
    """

    order: str
    buyer: str
    gross_micros: int
    bid_id: str | None = None
    payout_micros: int | None = None


class Offer(NamedTuple):
    """A firm price. `payout_micros` is promised, whoever of the `ladder` (best first) buys in the end."""

    payout_micros: int
    expires_at: datetime
    ladder: tuple[Rung, ...]


class Inputs(NamedTuple):
    """What a method went by besides bids and the market: of each valid bid, its order's credit or acceptance.

    Both are in millionths: of a lead (`weighted`, `round_robin`), of all its attempts (`performance`). `method` is the
    one that found the winner, `after` what the second went by, where that one ranked the rest.
    """

    method: Method
    values: Mapping[str, int]
    after: "Inputs | None" = None


def legs_of(ladder: Sequence[Rung]) -> tuple[int, ...]:
    """What is promised for each leg of a shared offer, in micro-units; nothing for an exclusive one."""
    if not ladder or ladder[0].payout_micros is None:
        return ()
    return tuple(rung.payout_micros for rung in ladder if rung.payout_micros is not None)


def sold_first(ladder: Sequence[Rung]) -> Sequence[Rung]:
    """Who a lead goes to if all goes well: the winners of the legs, or the one winner."""
    return ladder[: max(1, len(legs_of(ladder)))]


class Sums(NamedTuple):
    """The gross prices that a lead could have been sold at both ways; None where nobody would have it so.

    `shares_max` is by how many at most a share could have been bought: the campaign's number, or what room was left.
    """

    exclusive_micros: int | None
    shared_micros: int | None
    shares_max: int


class PingTrace(NamedTuple):
    """Everything that is kept of a ping. `reason` is None exactly where there is an `offer`.

    `rows` are its outcomes, as `outcomes` names them; `notice_at` is when to look what buyers can be told of
    bids that lost; None: nobody who bid wants to know.
    """

    ping_id: UUID
    seller: str
    campaign: str
    market_version: int
    currency: str
    test: bool
    source: str | None
    ref: str | None
    min_price_micros: int | None
    lead: Lead
    status: PingStatus
    reason: Reason | None
    offer: Offer | None
    rows: tuple[OutcomeRow, ...]
    phases_ms: Mapping[str, float]
    inputs: Inputs | None = None
    sums: Sums | None = None
    notice_at: datetime | None = None

    @property
    def outcomes(self) -> tuple[OrderOutcome, ...]:
        return named(self.rows)
