"""Entrants and terms of auctions for tests: by hand, and any that there may be."""

from hypothesis import strategies as st

from exchange.auction import Decision, Entrant
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.ids import uuid7
from exchange.values.market import Margin
from exchange.values.reason import Reason

CENT = 10_000
PERCENT_15 = Margin(parts_per_million=150_000)

amounts = st.integers(0, 30).map(lambda units: units * 50 * CENT)  # coarse, so that ties are common
margins = st.sampled_from([Margin(), PERCENT_15, Margin(amount_micros=100 * CENT), Margin(parts_per_million=333_333)])
replies = st.one_of(
    amounts.map(lambda gross: (Bid(gross, "b"), 5.0)),
    amounts.map(lambda gross: (Bid(gross), None)),  # a fixed price
    st.just((Refusal(Reason.NO_BID), 3.0)),
    st.just((Refusal(Reason.TIER_NOT_REACHED), None)),
)
ping_ids = st.builds(uuid7)


@st.composite
def entrants(draw: st.DrawFn, at_most: int = 7) -> list[Entrant]:
    """Orders of different keys, each with a reply; some of their buyers are limited."""
    found = []
    for number in range(draw(st.integers(0, at_most))):
        key = f"order-{number}"
        asked, limit = Asked(key, *draw(replies)), draw(st.none() | amounts)
        priority, margin = draw(st.integers(0, 2)), draw(margins)
        found.append(Entrant(key, f"buyer-{number % 3}", priority, limit, None, margin, asked))
    return found


def entrant(
    order: str, cents: int | Reason, *, priority: int = 1, margin: Margin = PERCENT_15, fixed: bool = False
) -> Entrant:
    """An order that bid so many cents, has them as its fixed price, or was refused."""
    reply = Refusal(cents) if isinstance(cents, Reason) else Bid(cents * CENT, None if fixed else f"bid-of-{order}")
    return Entrant(
        order, f"buyer-of-{order}", priority, None, None, margin, Asked(order, reply, None if fixed else 5.0)
    )


def reasons(decision: Decision) -> dict[str, Reason]:
    return {outcome.order: outcome.reason for outcome in decision.outcomes}


def gross_of(item: Entrant) -> int:
    return item.asked.reply.gross_micros or 0
