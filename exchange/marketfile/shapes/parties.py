"""Sellers and buyers in a market file."""

from exchange.marketfile.outside import (
    Zone,
)
from exchange.marketfile.scalars import (
    Amount,
    Key,
    MaxBid,
    Text,
)
from exchange.marketfile.shapes.base import Given, Shape
from exchange.marketfile.shapes.deliveries import NoticesShape, SellerWebhookShape
from exchange.marketfile.shapes.endpoints import EndpointShape
from exchange.marketfile.shapes.terms import AdjustmentShape, CapsShape, DuplicatesShape, MarginShape, RateShape


class SellerShape(Shape):
    """Who sends pings and posts."""

    campaigns: list[Text]
    floor: Amount = 0
    payout_floor: Amount = 0
    margin: Given[MarginShape] = None
    caps: CapsShape | None = None
    exclude_buyers: list[Text] = []
    webhook: Given[SellerWebhookShape] = None
    rate: Given[RateShape] = None


class BuyerShape(Shape):
    """Who buys leads."""

    time_zone: Zone = "UTC"
    credit_limit: Amount = 0
    max_bid: MaxBid = None
    margin: Given[MarginShape] = None
    boost: Given[AdjustmentShape] = None
    penalty: Given[AdjustmentShape] = None
    duplicates: DuplicatesShape | None = None
    exclude_sellers: list[Text] = []
    endpoint: Given[EndpointShape] = None
    endpoints: Given[dict[Key, EndpointShape]] = None
    not_with: list[Text] = []
    notices: Given[NoticesShape] = None
