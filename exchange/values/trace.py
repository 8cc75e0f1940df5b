"""The record of one ping: one value that feeds the row in Postgres, the metrics, the log line and `explain`."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from exchange.values.reason import Reason
from exchange.values.selling import Method
from exchange.values.vertical import Lead


class PingStatus(StrEnum):
    OFFERED = "offered"
    UNSOLD = "unsold"
    REFUSED = "refused"


class OrderOutcome(NamedTuple):
    """What became of one order that the filters let through: its reason, and its bid where it made one."""

    order: str
    buyer: str
    reason: Reason
    gross_micros: int | None = None
    bid_id: str | None = None
    elapsed_ms: float | None = None
    detail: str = ""


class Rung(NamedTuple):
    """One step of an offer's ladder: an order that may take the lead at its own gross price."""

    order: str
    buyer: str
    gross_micros: int
    bid_id: str | None = None


class Offer(NamedTuple):
    """A firm price. `payout_micros` is promised, whoever of the `ladder` (best first) buys in the end."""

    payout_micros: int
    expires_at: datetime
    ladder: tuple[Rung, ...]


class Inputs(NamedTuple):
    """What a method went by besides bids and the market: of each order that could win, its credit or acceptance.

    Both are in millionths: of a lead (`weighted`, `round_robin`), of all its attempts (`performance`).
    """

    method: Method
    values: Mapping[str, int]


class PingTrace(NamedTuple):
    """Everything that is kept of a ping. `reason` is None exactly where there is an `offer`."""

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
    outcomes: tuple[OrderOutcome, ...]
    phases_ms: Mapping[str, float]
    inputs: Inputs | None = None
