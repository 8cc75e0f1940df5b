"""Past pings under other rules: sums, who gains, and what cannot be known."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from support.market import VERTICAL, market
from support.past_pings import ORDERS, ping_of, rules

from exchange.marketfile.reader import read
from exchange.past.backtest import Backtest, Tally
from exchange.past.recall import rules_of
from exchange.rules.book import RuleBook
from exchange.storage.pings import RecordedPing
from exchange.values.bid import Bid, Refusal
from exchange.values.market import Sale
from exchange.values.reason import Reason
from exchange.values.selling import Method
from exchange.values.trace import Inputs, OrderOutcome, PingStatus

TWO = {"ann": Bid(21_000_000), "bob": Bid(18_000_000)}


def tally(ping: RecordedPing, **campaign: Any) -> Tally:
    backtest = Backtest(rules(**campaign))
    backtest.add(ping)
    return backtest.tally


def test_the_same_rules_give_the_same_sums() -> None:
    found = tally(ping_of(rules(), TWO))
    assert found.all.old == found.all.new
    assert (found.all.new.sold, found.all.new.gross_micros, found.all.new.payout_micros) == (1, 21_000_000, 17_850_000)
    assert (found.posted.old.sold, found.unknown, found.outside) == (0, 0, 0)
    assert found.buyers["ann"].old == found.buyers["ann"].new


def test_another_margin_moves_money_from_the_seller() -> None:
    found = tally(replace(ping_of(rules(), TWO), post_id=UUID(int=1)), margin={"percent": 20})
    assert (found.all.new.margin_micros - found.all.old.margin_micros) == 1_050_000
    assert found.sellers["acme"].new.payout_micros == 16_800_000
    assert found.posted == found.all


def test_a_higher_floor_loses_the_sale() -> None:
    found = tally(ping_of(rules(), TWO), floor="25.00")
    assert (found.all.old.sold, found.all.new.sold) == (1, 0)
    assert found.buyers["ann"].new.sold == 0


@pytest.mark.parametrize("reason", [Reason.PAUSED, Reason.SELLER_EXCLUDED, Reason(202), Reason(214)])
def test_an_order_that_a_rule_kept_out_then_is_unknown_now(reason: Reason) -> None:
    ping = ping_of(rules(), TWO)
    kept = tuple(item if item.order != "ann" else OrderOutcome("ann", "ann", reason) for item in ping.outcomes)
    found = tally(replace(ping, outcomes=kept))
    assert (found.unknown, found.pings_unknown) == (1, 1)
    assert found.all.new.gross_micros == 18_000_000


def test_an_order_that_was_full_then_stays_full() -> None:
    found = tally(ping_of(rules(), {"bob": Refusal(Reason.NO_BID)}))
    assert (found.unknown, found.all.new.sold) == (0, 0)


def test_an_order_that_its_filter_kept_out_then_is_unknown_now() -> None:
    ping = ping_of(rules(), TWO)
    found = tally(replace(ping, outcomes=tuple(item for item in ping.outcomes if item.order != "ann")))
    assert (found.unknown, found.all.new.gross_micros) == (1, 18_000_000)


def test_tests_and_refused_pings_are_no_auctions_and_strangers_are_outside() -> None:
    ping = ping_of(rules(), TWO)
    backtest = Backtest(rules())
    backtest.add(replace(ping, test=True))
    backtest.add(replace(ping, status=PingStatus.REFUSED, reason=Reason.DUPLICATE, payout_micros=None, outcomes=()))
    backtest.add(replace(ping, seller="shut"))
    backtest.add(replace(ping, campaign="gone"))
    found = backtest.tally
    assert (found.pings, found.refused, found.outside) == (3, 1, 2)
    assert (found.all.old.sold, found.all.new.sold) == (2, 0)


@pytest.mark.parametrize(
    ("method", "leads"),
    [("weighted", {"ann": 60, "bob": 20, "cid": 20}), ("round_robin", {"ann": 34, "bob": 33, "cid": 33})],
)
def test_turns_are_taken_as_the_new_rules_have_it(
    method: str, leads: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for order in leads:
        monkeypatch.setitem(ORDERS, order, {"weight": 60 if order == "ann" else 20})
    backtest, three = Backtest(rules(method=method)), TWO | {"cid": Bid(17_000_000)}
    for _ in range(100):
        backtest.add(ping_of(rules(), three))
    sold = {buyer: both.new.sold for buyer, both in backtest.tally.buyers.items()}
    assert sold.keys() == leads.keys()
    assert all(abs(sold[order] - leads[order]) <= 1 for order in leads)


def test_whose_turn_it_was_then_counts_for_nothing() -> None:
    backtest = Backtest(rules(method="weighted"))
    for _ in range(10):
        ping = ping_of(rules(method="weighted"), TWO, inputs=Inputs(Method.WEIGHTED, {"ann": -900_000, "bob": 900_000}))
        backtest.add(ping)
    assert backtest.tally.buyers["ann"].new.sold == backtest.tally.buyers["bob"].new.sold == 5


def test_acceptances_are_those_of_then() -> None:
    inputs = Inputs(Method.PERFORMANCE, {"ann": 100_000, "bob": 900_000})
    ping = ping_of(rules(method="performance"), TWO, inputs=inputs)
    assert tally(ping, method="performance").buyers["bob"].new.sold == 1
    assert tally(ping, method="weighted", fallback_method="performance").all.new.sold == 1


def test_without_the_consent_that_the_new_rules_ask_for_nothing_is_sold() -> None:
    ping = ping_of(rules(), TWO)
    asking = Backtest(consenting())
    for agreed in ({}, {"tcpa": True}, {"tcpa": False}):
        asking.add(replace(ping, lead={**ping.lead, **agreed}))
    assert (asking.tally.all.old.sold, asking.tally.all.new.sold) == (3, 1)


def consenting() -> RuleBook:
    document = market(dict.fromkeys(TWO, "http://127.0.0.1:9"), consent=["tcpa"])
    tcpa = {"type": "boolean", "in": "ping"}
    document["verticals"] = {"auto": VERTICAL | {"fields": VERTICAL["fields"] | {"tcpa": tcpa}}}
    return rules_of(read(document), 1)


SHARES = {"ann": Bid(12_000_000, sale=Sale.SHARED), "bob": Bid(11_000_000, sale=Sale.SHARED)}
BOTH = {"cid": Bid(20_000_000, others=(Bid(10_000_000, sale=Sale.SHARED),))}


def test_a_bid_for_a_share_is_none_for_the_lead_alone() -> None:
    found = tally(ping_of(rules(sale="best"), SHARES | BOTH))
    assert (found.all.old.gross_micros, found.all.new.gross_micros, found.unknown) == (33_000_000, 20_000_000, 2)


def test_a_bid_for_the_lead_alone_is_none_for_a_share() -> None:
    ping = ping_of(rules(), TWO | {"cid": Refusal(Reason.NO_BID)})
    found = tally(ping, sale="shared")
    assert (found.all.new.sold, found.unknown) == (0, 3)
    found = tally(ping, sale="best")
    assert (found.all.new.gross_micros, found.unknown) == (21_000_000, 3)
    assert tally(ping).unknown == 0


def test_more_may_share_where_the_new_rules_say_so() -> None:
    ping = ping_of(rules(sale="best", max_shares=2), SHARES | BOTH)
    found = tally(ping, sale="best", max_shares=3)
    assert (found.all.old.gross_micros, found.all.new.gross_micros) == (23_000_000, 33_000_000)
