"""Past pings under other rules: sums, who gains, and what cannot be known."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from support.past_pings import ping_of, rules

from exchange.past.backtest import Backtest, Tally
from exchange.storage.pings import RecordedPing
from exchange.values.bid import Bid, Refusal
from exchange.values.reason import Reason
from exchange.values.trace import OrderOutcome, PingStatus

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
