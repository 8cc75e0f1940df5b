"""What the network takes of a buyer's time: measured when connecting, believed with care, and not told to the buyer."""

from hypothesis import given
from hypothesis import strategies as st
from support.buyer import Buyer, bids

from exchange.buyers.calls import TOLD_MS_MIN, Call
from exchange.buyers.dialects import native
from exchange.buyers.dialling import round_trip
from exchange.buyers.fanout import Fanout
from exchange.values.bid import Asked, Bid, Refusal
from exchange.values.deadline import Deadline
from exchange.values.market import Sale
from exchange.values.reason import Reason

SECONDS = st.floats(min_value=1e-6, max_value=10.0)


@given(st.lists(SECONDS, min_size=1))
def test_an_estimate_lies_within_what_was_measured(measured: list[float]) -> None:
    known_s = 0.0
    for one_s in measured:
        known_s = round_trip(known_s, one_s)
        assert min(measured) * 0.999 <= known_s <= max(measured)


@given(SECONDS, SECONDS)
def test_a_shorter_way_is_believed_at_once_and_a_longer_one_slowly(known_s: float, measured_s: float) -> None:
    found_s = round_trip(known_s, measured_s)
    assert found_s == measured_s if measured_s <= known_s else found_s - known_s <= (measured_s - known_s) / 4


async def asked_over(network_ms: int, timeout_ms: int) -> tuple[Asked, list[str]]:
    """What becomes of a ping over a network that takes so long, and what the buyer was told of his time."""
    async with Buyer(bids("10.00")) as buyer:
        fanout = Fanout(allow_private=True)
        try:
            line = fanout.line("order", f"{buyer.url}/bid", native.ping_headers("order"), native.TIMEOUT_HEADER)
            assert line.pool is not None
            reader = native.bid_reader(sale=Sale.EXCLUSIVE, currency="USD")
            [first] = await fanout.ask([Call(line, b"{}", 2_000, reader)], Deadline.after_ms(5_000))
            assert isinstance(first.reply, Bid)
            assert line.pool.network_ms == 0  # loopback, by the kernel's clock: next to nothing on the busiest machine
            line.pool.network_ms = network_ms
            [second] = await fanout.ask([Call(line, b"{}", timeout_ms, reader)], Deadline.after_ms(5_000))
        finally:
            await fanout.close()
        return second, [ping.headers["exchange-timeout-ms"] for ping in buyer.pings[1:]]


async def test_a_buyer_is_told_his_time_without_the_networks() -> None:
    asked, told = await asked_over(network_ms=80, timeout_ms=1_500)
    assert isinstance(asked.reply, Bid)
    assert told == ["1420"]


async def test_a_buyer_who_is_too_far_away_is_not_asked() -> None:
    asked, told = await asked_over(network_ms=500, timeout_ms=500 + TOLD_MS_MIN - 1)
    assert isinstance(asked.reply, Refusal)
    assert (asked.reply.reason, asked.elapsed_ms, told) == (Reason.NO_TIME_LEFT, None, [])
