"""The auction and its plain reference decide alike, whatever the bids, the limits and the terms."""

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from support import plain_auction
from support.auctions import CENT, PERCENT_15, ping_ids
from support.plain_auction import as_told

from exchange.auction import Entrant, Terms, decide, has_buyer
from exchange.rules.estimates import Left
from exchange.rules.ranking import Ranking
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.market import Fallback, Margin, Sale
from exchange.values.reason import Reason
from exchange.values.selling import Adjustment, Method

ORDERS = [f"order-{number}" for number in range(8)]
BUYERS = [f"buyer-{number}" for number in range(5)]
MARGINS = [
    Margin(),
    PERCENT_15,
    Margin(parts_per_million=333_333),
    Margin(parts_per_million=1_000_000),
    Margin(amount_micros=100 * CENT),
    Margin(parts_per_million=50_000, amount_micros=1),
]

amounts = st.integers(0, 12).map(lambda units: units * 50 * CENT) | st.integers(0, 700).map(lambda cents: cents * CENT)
limits = st.none() | amounts
elapsed = st.none() | st.just(5.0)
bids = st.builds(
    Bid,
    amounts,
    st.none() | st.sampled_from(["a", "b"]),
    st.sampled_from([Sale.EXCLUSIVE, Sale.SHARED]),
    st.none() | st.integers(1, 4),
)
replies = st.one_of(
    st.lists(bids, min_size=1, max_size=4).map(lambda found: found[0]._replace(others=tuple(found[1:]))),
    st.builds(Refusal, st.sampled_from([Reason.NO_BID, Reason.TIMEOUT]), st.just("why"), st.none() | amounts),
)
lefts = st.none() | st.builds(Left, st.integers(0, 2), amounts)
adjustments = st.builds(Adjustment, st.integers(-900_000, 900_000)) | st.builds(
    Adjustment, st.just(0), st.integers(-500, 500).map(lambda cents: cents * CENT)
)
rankings = st.builds(
    Ranking,
    st.dictionaries(st.sampled_from(ORDERS), adjustments),
    st.sampled_from(Method),
    st.dictionaries(st.sampled_from(ORDERS), st.integers(1, 5)),
    st.dictionaries(st.sampled_from(ORDERS), st.integers(0, 1_000_000)),
)
terms = st.builds(
    Terms,
    amounts,
    st.sampled_from(Fallback),
    limits,
    st.just(0) | amounts,
    st.none() | rankings,
    st.booleans(),
    st.sampled_from([Sale.EXCLUSIVE, Sale.SHARED, Sale.BEST]),
    st.integers(1, 5),
    st.lists(st.permutations(BUYERS).map(lambda drawn: drawn[:2]), max_size=4).map(
        lambda pairs: {
            buyer: frozenset(other for pair in pairs if buyer in pair for other in pair if other != buyer)
            for buyer in {buyer for pair in pairs for buyer in pair}
        }
    ),
)


@st.composite
def entrants(draw: st.DrawFn) -> list[Entrant]:
    return [
        Entrant(
            order,
            draw(st.sampled_from(BUYERS)),
            draw(st.integers(0, 1)),
            draw(limits),
            draw(limits),
            draw(st.sampled_from(MARGINS)),
            Asked(order, draw(replies), draw(elapsed)),
            draw(lefts),
        )
        for order in ORDERS[: draw(st.integers(0, len(ORDERS)))]
    ]


@given(entrants(), terms, ping_ids)
@settings(max_examples=100)
def test_both_decide_alike(found: list[Entrant], held: Terms, ping_id: UUID) -> None:
    assert as_told(decide(found, held, ping_id)) == plain_auction.decide(found, held, ping_id)
    assert has_buyer(found, held) == plain_auction.has_buyer(found, held)


@given(entrants(), terms, ping_ids)
@settings(max_examples=100)
def test_both_decide_alike_where_nobody_is_limited(found: list[Entrant], held: Terms, ping_id: UUID) -> None:
    free = [item._replace(max_bid_micros=None, available_micros=None, left=None, margin=PERCENT_15) for item in found]
    low = held._replace(floor_micros=0, payout_floor_micros=0)
    assert as_told(decide(free, low, ping_id)) == plain_auction.decide(free, low, ping_id)
