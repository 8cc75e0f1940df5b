"""Whether an answer is one that a load test may get: read as the simulated sellers do, then looked at more closely."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from exchange.simulation.answers import Answer, read_ping_answer, read_post_answer
from exchange.simulation.tally import ACCEPTED, OFFERED, Fault, PingTold, PostTold, TurnedAway
from exchange.values.money import format_amount

PRICE = re.compile(r"[0-9]{1,12}\.[0-9]{2}", re.ASCII)
SHED = frozenset({429, 503})
"""Refusals for want of capacity: they are counted, and each scenario says how many are allowed."""

Wrong = str
"""Why an answer is not one that this load may get."""


def judge_ping(answer: Answer, campaign: str, least_micros: int | None) -> PingTold | TurnedAway | Wrong:
    """What a ping was told: an offer or none, a refusal for want of capacity, or what is wrong with it."""
    told = read_ping_answer(answer, campaign, least_micros)
    if not isinstance(told, PingTold):
        return _turned_away(told)
    return wrong_offer(told, orjson.loads(answer.body)) or told


def judge_post(answer: Answer, offer: PingTold) -> PostTold | TurnedAway | Wrong:
    """What the post of an offer was told."""
    told = read_post_answer(answer)
    if not isinstance(told, PostTold):
        return _turned_away(told)
    document = orjson.loads(answer.body)
    if told.status == ACCEPTED and told.price_micros != offer.price_micros:
        return f"sold at {document['price']}, offered at {format_amount(offer.price_micros or 0)}"
    if told.status == ACCEPTED and not PRICE.fullmatch(document["price"]):
        return f"the price {document['price']} is not in whole cents"
    return told if document.get("changed_fields") == [] else "changed_fields is not empty"


def wrong_offer(told: PingTold, document: Mapping[str, Any]) -> Wrong | None:
    """What the shape alone does not show: whole cents, the least price, the time left, nothing dropped."""
    if document.get("ignored") != []:
        return "a field of the lead was dropped"
    if told.status != OFFERED:
        return None
    if not PRICE.fullmatch(document["price"]):
        return f"the price {document['price']} is not in whole cents"
    if told.min_price_micros is not None and (told.price_micros or 0) < told.min_price_micros:
        return f"offered {document['price']}, below the least price {format_amount(told.min_price_micros)}"
    if datetime.fromisoformat(document["expires_at"]) <= datetime.now(UTC):
        return "the offer had expired when it came"
    return None


def _turned_away(told: TurnedAway | Fault) -> TurnedAway | Wrong:
    if isinstance(told, Fault):
        return told.what
    return told if told.http_status in SHED else f"turned away: {told.http_status} {told.code}"
