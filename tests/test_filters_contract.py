"""Filters from end to end: a lead reaches the orders whose filters accept it, and no others."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.buyer import Buyer, bids
from support.market import Document, market
from support.places import UNKNOWN_ZIP
from support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILTERS: Document = {
    "near": {"zip": {"within_miles": 10, "of": "60601"}},
    "near-or-far": {"zip": {"or": [{"within_miles": 10, "of": {"lat": "41.9", "lon": "-87.6"}}, {"prefix": "1000"}]}},
    "chicago": {"zip": {"prefix": ["606", "607"]}},
    "pattern": {"credit": {"matches": "^(good|excellent)$"}},
    "no-age": {"age": {"exists": False}},
    "not-young": {"age": {"not": {"max": 24}}},
    "unless-young": {"not": {"age": {"max": 24}}},
    "either": {"or": [{"age": {"min": 65}}, {"state": "NY", "credit": {"exists": True}}]},
    "neither": {"and": [{"not": {"state": "IL"}}, {"not": {"credit": ["poor", "fair"]}}]},
}
LEADS: list[tuple[Document, set[str]]] = [
    (
        {"zip": "60601", "age": 41, "credit": "good"},
        {"near", "near-or-far", "chicago", "pattern", "not-young", "unless-young"},
    ),
    ({"zip": "60614"}, {"near", "near-or-far", "chicago", "no-age", "unless-young"}),
    ({"zip": UNKNOWN_ZIP, "age": 24}, {"chicago"}),
    ({"zip": "53202", "age": 65}, {"not-young", "unless-young", "either", "neither"}),
    ({"zip": "10001", "age": 30, "credit": "poor"}, {"near-or-far", "not-young", "unless-young", "either"}),
    (
        {"zip": "10001", "credit": "excellent"},
        {"near-or-far", "pattern", "no-age", "unless-young", "either", "neither"},
    ),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filtering(shared_world: World) -> AsyncIterator[World]:
    """An exchange with an order for each filter."""
    async with Buyer(bids("21.00")) as buyer:
        orders = {name: {"buyer": "only", "campaign": "auto-us", "filter": wanted} for name, wanted in FILTERS.items()}
        await shared_world.apply(market({"only": buyer}, orders=orders | {"only": {"paused": True}}))
        yield shared_world


@pytest.mark.parametrize(("lead", "asked"), LEADS)
async def test_a_lead_reaches_the_orders_whose_filters_accept_it(
    filtering: World, lead: Document, asked: set[str]
) -> None:
    answer = await filtering.ping(lead)
    assert answer["status"] == "offered"
    assert set(await filtering.reasons(answer["ping_id"])) - {"only"} == asked


async def test_a_lead_that_no_filter_accepts_is_offered_to_nobody(filtering: World) -> None:
    answer = await filtering.ping({"zip": "94103", "age": 20, "credit": "fair"})
    assert (answer["status"], answer["reason"]["code"]) == ("unsold", 406)


async def test_a_radius_reaches_as_far_as_the_country_s_own_centroids_say(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        near = {"filter": {"zip": {"within_miles": 30, "of": "60601"}}}
        await shared_world.apply(market({"near": buyer}, orders={"near": near}))
        answers = {name: await shared_world.ping({"zip": name}) for name in ("60201", "61101", UNKNOWN_ZIP)}
    found = {name: (answer["status"], answer.get("reason", {}).get("code")) for name, answer in answers.items()}
    assert found == {"60201": ("offered", None), "61101": ("unsold", 406), UNKNOWN_ZIP: ("unsold", 406)}
