"""What a gross price leaves for the seller: price = payout + margin, always, and payouts are whole cents."""

from exchange.values.market import Buyer, Campaign, Margin, Seller
from exchange.values.money import ceil_to_cent, floor_to_cent

_MILLION = 1_000_000


def margin_for(campaign: Campaign, seller: Seller, buyer: Buyer) -> Margin:
    """The most specific margin replaces the others: the buyer's, else the seller's, else the campaign's."""
    return buyer.margin or usual_margin(campaign, seller)


def usual_margin(campaign: Campaign, seller: Seller) -> Margin:
    """The margin for buyers who have none of their own."""
    return seller.margin or campaign.margin


def payout_of(gross_micros: int, margin: Margin) -> int:
    """Gross less margin, rounded down to the cent; 0 where the margin is the whole price or more."""
    left = gross_micros * (_MILLION - margin.parts_per_million) // _MILLION - margin.amount_micros
    return floor_to_cent(left) if left > 0 else 0


def gross_for(payout_micros: int, margin: Margin) -> int | None:
    """The least gross price in whole cents whose payout is at least this much; None where no price is enough."""
    least_micros = least_gross_for(payout_micros, margin)
    return None if least_micros is None else ceil_to_cent(least_micros)


def least_gross_for(payout_micros: int, margin: Margin) -> int | None:
    """As `gross_for`, to the micro-unit: whether a payout is enough is then one comparison of gross prices."""
    parts = _MILLION - margin.parts_per_million
    if parts <= 0:
        return None
    before_margin = (ceil_to_cent(payout_micros) + margin.amount_micros) * _MILLION
    return -(-before_margin // parts)
