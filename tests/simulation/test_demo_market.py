"""The example market: it can be applied, its buyers are those that the farm plays, and absurd prices cannot win."""

from exchange.marketfile.reader import load
from exchange.marketfile.secrets import references
from exchange.simulation.leads import LEAD_MAKERS
from exchange.simulation.manners import demo_buyers
from exchange.simulation.market import demo_deposits_micros, demo_environment, render_demo_market
from exchange.values.auth import AuthKind

_, MARKET = load(render_demo_market(9500))
MANNERS = {manners.name: manners for manners in demo_buyers()}


def test_its_buyers_are_those_of_the_farm_on_their_ports() -> None:
    assert list(MARKET.buyers) == [manners.name for manners in demo_buyers()]
    for port, buyer in enumerate(MARKET.buyers.values(), start=9500):
        (endpoint,) = buyer.endpoints.values()
        assert endpoint.ping_url == f"http://127.0.0.1:{port}/bid"
        assert endpoint.post_url == f"http://127.0.0.1:{port}/post"


def test_its_secrets_are_the_tokens_that_the_buyers_demand() -> None:
    environment = demo_environment()
    assert {name for _, name in references(MARKET)} == set(environment)
    for name, buyer in MARKET.buyers.items():
        (endpoint,) = buyer.endpoints.values()
        token = MANNERS[name].bearer
        assert (endpoint.auth.kind is AuthKind.BEARER) == (token is not None)
        if token is not None:
            assert environment[endpoint.auth.secret.removeprefix("${env:").removesuffix("}")] == token


def test_every_campaign_has_leads_sellers_and_at_least_five_open_buyers() -> None:
    assert set(MARKET.campaigns) == set(LEAD_MAKERS)
    for campaign in MARKET.campaigns:
        assert any(campaign in seller.campaigns for seller in MARKET.sellers.values())
        open_orders = [order for order in MARKET.orders.values() if order.campaign == campaign and not order.paused]
        assert len({order.buyer for order in open_orders}) >= 5


def test_it_shows_what_a_market_can_do() -> None:
    orders = MARKET.orders.values()
    conditions = [condition for order in orders for condition in order.filter.values()]
    assert any(order.paused for order in orders)
    assert any(order.fields for order in orders)
    assert any(order.exclude_sellers for order in orders)
    assert any(condition.none_of for condition in conditions)
    assert any(condition.any_of and len(condition.any_of) > 1 for condition in conditions)
    assert any(condition.minimum is not None and condition.maximum is not None for condition in conditions)
    assert any(seller.margin for seller in MARKET.sellers.values())
    assert any(buyer.margin for buyer in MARKET.buyers.values())
    assert any(set(seller.campaigns) == set(MARKET.campaigns) for seller in MARKET.sellers.values())


def test_no_buyer_bids_above_his_own_limit_and_an_absurd_price_is_above_every_limit() -> None:
    for name, buyer in MARKET.buyers.items():
        assert buyer.max_bid_micros is not None
        assert MANNERS[name].bid_high_cents * 10_000 <= buyer.max_bid_micros < 999_999_999 * 1_000_000


def test_slow_buyers_answer_within_their_time_and_late_ones_after_the_sellers() -> None:
    for name, buyer in MARKET.buyers.items():
        (endpoint,) = buyer.endpoints.values()
        manners = MANNERS[name]
        assert manners.think_ms[1] < endpoint.ping_timeout_ms
        campaigns = [MARKET.campaigns[order.campaign] for order in MARKET.orders.values() if order.buyer == name]
        for campaign in campaigns:
            assert endpoint.ping_timeout_ms < campaign.ping_timeout_ms
            assert manners.think_ms[1] + manners.slow_ms < campaign.post_timeout_ms < endpoint.post_timeout_ms
            if manners.late_accept_pct:
                assert campaign.post_timeout_ms < manners.late_ms < endpoint.post_timeout_ms


def test_who_pays_in_advance_has_a_deposit_and_no_credit() -> None:
    prepaid = {name for name, buyer in MARKET.buyers.items() if not buyer.credit_limit_micros}
    assert prepaid == set(demo_deposits_micros())


def test_every_misbehaviour_is_somebodys() -> None:
    shares = [name for name in MANNERS["northwind"].__slots__ if name.endswith("_pct")]
    assert all(any(getattr(manners, share) for manners in MANNERS.values()) for share in shares)
