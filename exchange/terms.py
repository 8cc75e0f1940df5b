"""The terms of one auction, from the campaign, the seller and the lead: the same for a ping and for its replay."""

from collections.abc import Sequence

from exchange.auction import Terms
from exchange.rules.book import CampaignBook
from exchange.rules.estimates import NO_LIMIT
from exchange.values.market import Sale, Seller
from exchange.values.trace import Inputs
from exchange.values.vertical import Lead


def terms_of(
    book: CampaignBook,
    seller: Seller,
    lead: Lead,
    min_price_micros: int | None,
    inputs: Inputs | None = None,
    *,
    shares_left: int = NO_LIMIT,
) -> Terms:
    """What a bid must meet, and how bids are ranked. Of the campaign's and the seller's floors the higher counts.

    `inputs` are those of a decision that is made again, `shares_left` how many legs there is room for.
    """
    campaign, selling = book.campaign, book.selling
    payout_floor_micros = max(campaign.payout_floor_micros, seller.payout_floor_micros)
    floor_micros = max(floor_for(book, lead), seller.floor_micros)
    terms = Terms(floor_micros, campaign.fallback, min_price_micros, payout_floor_micros)
    if campaign.sale is not Sale.EXCLUSIVE:
        shares_max = max(1, min(campaign.max_shares, shares_left))
        terms = terms._replace(sale=campaign.sale, max_shares=shares_max, apart=book.apart)
    if selling is None:
        return terms
    ranking = None if selling.ranking is None else selling.ranking.as_then(inputs)
    return terms._replace(ranking=ranking, second_price=selling.second_price)


def floor_for(book: CampaignBook, lead: Lead) -> int:
    """The campaign's floor for this lead."""
    floor_micros = book.campaign.floor_micros
    return floor_micros if book.selling is None else book.selling.floor_for(lead, floor_micros)


def told_floor(book: CampaignBook, lead: Lead, visible: Sequence[str]) -> int:
    """The campaign's floor as buyers are told it: a rule about fields that they may not see would betray these."""
    if book.selling is None or not book.selling.floor_fields.issubset(visible):
        return book.campaign.floor_micros
    return floor_for(book, lead)
