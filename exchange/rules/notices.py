"""Notices of lost bids: whose is worth a look later, whether a lead's fate is final, and what each loser is told of it.

A bid has not lost when the auction is over: the seller may not take the offer, and whoever is next may have the lead
after the winner's no. So nothing is told before the lead cannot be sold any more.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from exchange.values.ids import moment_of
from exchange.values.market import Buyer, Campaign, Sale
from exchange.values.notices import BidEvent, NoticeTerms
from exchange.values.reason import Reason
from exchange.values.trace import BidOutcome, OrderOutcome, OutcomeRow

CLAIM_S = 60
"""For how long after an offer's end a post that came just in time may still be on its way."""

LOOK_AGAIN_S = 60
"""How soon is looked again at a lead whose fate is not final; later, after a quarter of the time since its ping."""

_VALID = frozenset({Reason.WON, Reason.OUTBID, Reason.BELOW_MIN_PRICE})
_SOLD = frozenset({"accepted", "presumed_accepted"})
_REFUSED = frozenset({"rejected", "presumed_rejected", "not_sent"})
_OPEN = frozenset({"in_progress", "pending"})


class Tried(NamedTuple):
    """An attempt as the record has it: its order, its state, why it ended, and what was paid."""

    order: str
    state: str
    reason: Reason | None
    gross_micros: int


class Fate(NamedTuple):
    """What became of a ping. `expires_at` is an offer's, `post` its post's state, `tried` its attempts in order."""

    ping_id: UUID
    outcomes: Sequence[OrderOutcome]
    expires_at: datetime | None
    post: str | None
    tried: Sequence[Tried]


class LostBid(NamedTuple):
    """What whose bid lost is told. `rank` and `clearing_micros` are None where they are not told, or there is none."""

    order: str
    buyer: str
    bid_id: str | None
    gross_micros: int
    sale: Sale
    reason: Reason
    is_sold: bool
    rank: int | None
    clearing_micros: int | None


def delays_of(campaign: Campaign, buyers: Iterable[Buyer]) -> dict[str, int]:
    """Of the buyers on a campaign those who are told of lost bids, and after how many seconds at the earliest."""
    if campaign.notices is None:
        return {}
    delay_s = campaign.notices.delay_min * 60
    return {buyer.key: delay_s for buyer in buyers if wants_losses(buyer)}


def wants_losses(buyer: Buyer) -> bool:
    """Whether a buyer asks to be told of lost bids."""
    return buyer.notices is not None and BidEvent.LOST in buyer.notices.events


def first_look(delays_s: Mapping[str, int], rows: Iterable[OutcomeRow], ping_id: UUID) -> datetime | None:
    """When to look what became of a ping's bids; None where nobody bid who is told."""
    buyer = next(bidders(rows, delays_s), None)
    return None if buyer is None else moment_of(ping_id) + timedelta(seconds=delays_s[buyer])


def bidders(rows: Iterable[OutcomeRow], asking: Container[str]) -> Iterator[str]:
    """Of the buyers who are `asking` those who bid: one for each order. A fixed price is no bid: nobody was asked."""
    for _, buyer, _, gross_micros, _, elapsed_ms, _, _ in rows:
        if gross_micros is not None and elapsed_ms is not None and buyer in asking:
            yield buyer


def next_look(fate: Fate, now: datetime) -> datetime | None:
    """When to look again at a lead that may still be sold; None where its fate is final."""
    if fate.post is None:
        end = None if fate.expires_at is None else fate.expires_at + timedelta(seconds=CLAIM_S)
        return end if end is not None and end > now else None
    if fate.post not in _OPEN:
        return None
    age_s = (now - moment_of(fate.ping_id)).total_seconds()
    return now + timedelta(seconds=max(LOOK_AGAIN_S, age_s / 4))


def lost_bids(fate: Fate, terms: NoticeTerms, asking: Container[str]) -> list[LostBid]:
    """What the buyers who are `asking` are told of a lead whose fate is final: one entry for each order that bid.

    Of an order's bids it is the one that came furthest. A fixed price is no bid: its order was not asked.
    """
    paid = [tried.gross_micros for tried in fate.tried if tried.state in _SOLD]
    clearing_micros = rounded_up(min(paid), terms.step_micros) if paid and terms.step_micros is not None else None
    prices = _prices(fate.outcomes)
    found = []
    for outcome in fate.outcomes:
        if outcome.buyer not in asking or outcome.elapsed_ms is None or outcome.gross_micros is None:
            continue
        reason = _why(outcome, fate)
        if reason is None:
            continue
        bid = _bids(outcome)[0]
        rank, clearing = None, None
        if bid.reason in _VALID:  # who bids what cannot win learns nothing of the market
            rank = 1 + sum(other > bid.gross_micros for other in prices[bid.sale]) if terms.has_rank else None
            clearing = clearing_micros
        found.append(
            LostBid(
                outcome.order, outcome.buyer, bid.bid_id, bid.gross_micros, bid.sale, reason, bool(paid), rank, clearing
            )
        )
    return found


def rounded_up(micros: int, step_micros: int) -> int:
    """An amount rounded up to a whole multiple: a price at which one would not have been outbid."""
    return -(-micros // step_micros) * step_micros


def _why(outcome: OrderOutcome, fate: Fate) -> Reason | None:
    """Why an order has not got the lead; None where it has, or that is not known."""
    own = [tried for tried in fate.tried if tried.order == outcome.order]
    if own:
        return (own[-1].reason or Reason.NOT_SENT) if all(tried.state in _REFUSED for tried in own) else None
    match outcome.reason:
        case Reason.WON:
            return Reason.NOT_TAKEN if fate.post is None else Reason.OFFER_WITHDRAWN
        case Reason.BELOW_MIN_PRICE:  # that the seller has a least price is not for buyers to know
            return Reason.NOT_TAKEN
        case _:
            return outcome.reason


def _bids(outcome: OrderOutcome) -> Sequence[BidOutcome]:
    """The bids of an order, the one that came furthest first."""
    if outcome.bids or outcome.gross_micros is None:
        return outcome.bids
    return (BidOutcome(Sale.EXCLUSIVE, outcome.gross_micros, outcome.bid_id, None, outcome.reason),)


def _prices(outcomes: Iterable[OrderOutcome]) -> dict[Sale, list[int]]:
    """What was bid, by the way of selling, in bids that could have won."""
    found: dict[Sale, list[int]] = {Sale.EXCLUSIVE: [], Sale.SHARED: []}
    for outcome in outcomes:
        for bid in _bids(outcome):
            if bid.reason in _VALID:
                found[bid.sale].append(bid.gross_micros)
    return found
