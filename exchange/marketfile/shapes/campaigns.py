"""A campaign in a market file."""

from typing import Annotated

from pydantic import AfterValidator

from exchange.marketfile.limits import (
    FANOUT,
    NOTICE_DELAY_MIN,
    NOTICE_STEP_MICROS_MIN,
    OFFER_TTL_S,
    QUEUE_EVERY_S,
    QUEUE_FOR_S,
    QUEUE_LEADS,
    RETURN_DAYS,
    SHARES,
    TIER_SHARE,
)
from exchange.marketfile.outside import (
    Zone,
)
from exchange.marketfile.scalars import (
    Amount,
    Flag,
    Percent,
    Text,
    choice,
    refuse,
    whole,
)
from exchange.marketfile.shapes.base import Given, Mapping, Shape
from exchange.marketfile.shapes.terms import CapsShape, DuplicatesShape, MarginShape, PingTimeout, PostTimeout
from exchange.values.market import EXPLORATION, MAX_SHARES
from exchange.values.money import floor_to_cent, format_amount
from exchange.values.selling import Method, PriceRule


class FloorShape(Shape):
    """A floor for the leads that a filter accepts; the filter is read with the vertical's fields at hand."""

    when: Mapping
    floor: Amount


class TiersShape(Shape):
    """How the tiers of a ping tree share the time."""

    share: Annotated[int, whole(*TIER_SHARE)]


class ReturnsShape(Shape):
    """How long a sale may be returned."""

    window_days: Annotated[int, whole(*RETURN_DAYS)]


WaitingReason = Annotated[str, choice("no_eligible_orders", "no_bids", "below_min_price", "seller_capped")]


def _not_empty(reasons: list[str]) -> list[str]:
    if not reasons:
        raise refuse("is empty: nothing would ever wait")
    return reasons


class QueueShape(Shape):
    """How leads wait that find no buyer."""

    for_s: Annotated[int, whole(*QUEUE_FOR_S)]
    every_s: Annotated[int, whole(*QUEUE_EVERY_S)] = 300
    max_leads: Annotated[int, whole(*QUEUE_LEADS)] = 10_000
    reasons: Annotated[list[WaitingReason], AfterValidator(_not_empty)] = ["no_eligible_orders"]


def _blurs(step_micros: int) -> int:
    if step_micros < NOTICE_STEP_MICROS_MIN or floor_to_cent(step_micros) != step_micros:
        least = format_amount(NOTICE_STEP_MICROS_MIN)
        raise refuse(f"must be whole cents, and at least {least}: less would tell what others bid")
    return step_micros


class CampaignNoticesShape(Shape):
    """What buyers whose bids lost are told."""

    delay_min: Annotated[int, whole(*NOTICE_DELAY_MIN)] = 15
    rank: Flag = False
    clearing_price_step: Given[Annotated[Amount, AfterValidator(_blurs)]] = None


class CampaignShape(Shape):
    """The market for one vertical."""

    vertical: Text
    time_zone: Zone = "UTC"
    ping_timeout_ms: PingTimeout = 800
    post_timeout_ms: PostTimeout = 8000
    offer_ttl_s: Annotated[int, whole(*OFFER_TTL_S)] = 300
    sale: Annotated[str, choice("exclusive", "shared", "best")] = "exclusive"
    max_shares: Annotated[int, whole(*SHARES)] = MAX_SHARES
    fallback: Annotated[str, choice("break_even", "none")] = "break_even"
    method: Annotated[str, choice(*Method)] = "highest_bid"
    tiers: Given[TiersShape] = None
    fallback_method: Annotated[str, choice(*Method)] | None = None
    max_fanout: Annotated[int, whole(*FANOUT)] | None = None
    exploration: Percent = EXPLORATION
    floor: Amount = 0
    floors: Given[list[FloorShape]] = None
    payout_floor: Amount = 0
    price_rule: Annotated[str, choice(*PriceRule)] = "first_price"
    margin: Given[MarginShape] = None
    duplicates: DuplicatesShape | None = None
    caps: CapsShape | None = None
    changed_fields: Annotated[str, choice("keep", "refuse")] = "keep"
    returns: Given[ReturnsShape] = None
    queue: Given[QueueShape] = None
    consent: list[Text] = []
    notices: Given[CampaignNoticesShape] = None
