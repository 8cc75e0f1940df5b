"""What asking a buyer can yield: a bid or a refusal, and what delivering to one can yield. Outcomes are values.

Those of a ping are named tuples, here and in `trace`: ten of each are made for every ping, in a third of the time.
"""

from dataclasses import dataclass
from typing import NamedTuple

from exchange.values.market import Sale
from exchange.values.reason import Reason


class Bid(NamedTuple):
    """A buyer's price for a lead: `gross_micros`, rounded down to the cent, and his own name for the bid.

    `sale` is exclusive or shared; of a shared bid `shares_max` says by how many at most, None: as many as the campaign
    sells to. `others` are further bids of the same reply, best first.
    """

    gross_micros: int
    bid_id: str | None = None
    sale: Sale = Sale.EXCLUSIVE
    shares_max: int | None = None
    others: "tuple[Bid, ...]" = ()


class Refusal(NamedTuple):
    """Why there is no bid, or none that counts. `detail` helps an operator and never holds lead data."""

    reason: Reason
    detail: str = ""
    gross_micros: int | None = None


Reply = Bid | Refusal


class Asked(NamedTuple):
    """One order's reply to a ping; `elapsed_ms` is how long it took to come, None where nobody was asked.

    A bid that nobody was asked for is an order's fixed price.
    """

    order: str
    reply: Reply
    elapsed_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The buyer took the lead."""

    reference: str | None = None
    redirect_url: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The buyer clearly did not take the lead: `REJECTED_BY_BUYER` or `DUPLICATE_AT_BUYER`."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NotSent:
    """Nothing of the lead can have reached the buyer."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The lead may or may not have been taken."""

    detail: str = ""


Delivery = Accepted | Rejected | NotSent | Unknown
