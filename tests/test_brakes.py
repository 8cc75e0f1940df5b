"""The brakes of a gateway, by a clock of the test's own: what opens, what closes by what, who is paused, who is not."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.market import Document, market

from exchange import brakes as brakes_module
from exchange.brakes import Brakes
from exchange.buyers.calls import Call
from exchange.buyers.line import Line
from exchange.marketfile.reader import read
from exchange.observe import metrics
from exchange.rules.book import OrderEntry, RuleBook, compile_book
from exchange.rules.brake import NO_PINGS_S, Usual
from exchange.rules.breaker import State
from exchange.values.bid import Accepted, Asked, Bid, Delivery, Refusal, Reply, Unknown
from exchange.values.reason import Reason

NAMES = ("ann", "bob", "cid", "dan", "eve")
USUAL = Usual(
    calls_min=5,
    post_calls_min=5,
    failed_percent=80,
    rest_first_s=10,
    rest_longest_s=10,
    probe_percent=50,
    pause_after_s=100,
)
DOWN = Refusal(Reason.SERVER_ERROR)


class Clock:
    """Stands in for `time` where brakes look at it."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return 1_795_521_600.0 + self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(brakes_module, "time", found)
    return found


def book(changes: Document | None = None) -> RuleBook:
    document = market(dict.fromkeys(NAMES, "http://127.0.0.1:9"))
    document["buyers"]["ann"]["endpoint"] |= changes or {}
    found = read(document)
    return compile_book(found, 1, {(name, "default"): {} for name in NAMES})


class Gateway:
    """Some orders, and what is heard of them."""

    def __init__(self, clock: Clock, changes: Document | None = None, usual: Usual = USUAL) -> None:
        self.clock = clock
        self.brakes = Brakes(usual)
        self.book = book(changes)
        self.brakes.put_in_force(self.book)

    def entry(self, name: str) -> OrderEntry:
        return self.book.campaigns["auto-us"].by_key[name]

    def ping(self, name: str, reply: Reply, took_ms: float = 400.0) -> None:
        brake = self.brakes.of(name, self.entry(name).endpoint)
        call = Call(Line(name, None, b""), b"", 500, lambda *_: reply)
        call.asked = Asked(name, reply, took_ms)
        self.brakes.heard([brake], [call], [call.asked], self.clock.now_s, 800)

    def post(self, name: str, delivery: Delivery) -> None:
        async def delivered() -> Delivery:
            return delivery

        asyncio.run(self.brakes.delivering(name, self.entry(name).endpoint, delivered()))

    def post_badly(self, name: str) -> None:
        while not self.brakes.takes_no_post(self.entry(name)):
            self.post(name, Unknown("silence"))

    def opened(self, name: str) -> None:
        while self.out(name) is None:
            self.ping(name, DOWN)

    def out(self, name: str) -> Reason | None:
        """Why an order is out, by the sets that pings look at."""
        number = self.book.campaigns["auto-us"].entries.index(self.entry(name))
        found = [reason for reason, members in self.brakes.shut.get("auto-us", ()) if members >> number & 1]
        assert len(found) < 2
        return found[0] if found else None

    def later(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.brakes.tick()


def test_only_the_orders_of_the_endpoint_are_out_and_back_when_it_is_half_open(clock: Clock) -> None:
    gateway = Gateway(clock)
    gateway.opened("ann")
    assert [gateway.out(name) for name in NAMES] == [Reason.BREAKER_OPEN, None, None, None, None]
    gateway.later(13)
    assert gateway.brakes.shut == {}
    brake = gateway.brakes.of("ann", gateway.entry("ann").endpoint)
    assert brake.is_looked_at
    assert gateway.brakes.refusal(brake, clock.now_s) is None
    refusal = gateway.brakes.refusal(brake, clock.now_s)
    assert refusal is not None
    assert refusal.reason is Reason.BREAKER_OPEN


def test_a_new_market_keeps_what_is_known_and_forgets_who_is_gone(clock: Clock) -> None:
    gateway = Gateway(clock)
    gateway.opened("ann")
    gateway.book = book({"ping_timeout_ms": 300})
    gateway.brakes.put_in_force(gateway.book)
    assert gateway.out("ann") is Reason.BREAKER_OPEN
    gateway.book = book({"post_url": "http://127.0.0.1:10/post"})
    gateway.brakes.put_in_force(gateway.book)
    assert gateway.out("ann") is None
    gateway.opened("ann")
    document = market({"bob": "http://127.0.0.1:9"})
    gateway.brakes.put_in_force(compile_book(read(document), 2, {("bob", "default"): {}}))
    assert gateway.brakes.shut == {}
    assert gateway.brakes.unwell() == []


def shown(name: str, phase: str = "ping") -> float | None:
    labels = {"buyer": name, "endpoint": "default", "phase": phase}
    return metrics.REGISTRY.get("exchange_breaker_state", labels)


@pytest.mark.parametrize(
    "changes",
    [
        {"ping_url": "http://127.0.0.1:10/bid"},
        {"breaker": {"enabled": False}},
        {"breaker": {"shadow": True}},
    ],
)
def test_what_a_new_market_closes_is_not_shown_as_open_for_ever(clock: Clock, changes: Document) -> None:
    gateway = Gateway(clock)
    gateway.opened("ann")
    assert shown("ann") == 2
    gateway.brakes.put_in_force(book(changes))
    assert shown("ann") == 0


def test_a_market_of_before_does_not_come_back_with_what_it_has_under_way(clock: Clock) -> None:
    """Posts take up to a minute, and end under the market that they began with."""
    gateway = Gateway(clock, {"in_flight": 9})
    before = gateway.entry("ann").endpoint

    async def slow() -> Delivery:
        gateway.book = book({"in_flight": 1, "post_url": "http://127.0.0.1:10/post"})
        gateway.brakes.put_in_force(gateway.book)
        return Unknown("silence")

    for _ in range(5):
        asyncio.run(gateway.brakes.delivering("ann", before, slow()))
    brake = gateway.brakes.of("ann", before)
    assert brake.endpoint is gateway.entry("ann").endpoint
    assert brake.post.counted() == (0, 0)  # another address has failed
    assert [gateway.brakes.refusal(brake, clock.now_s) is None for _ in range(2)] == [True, False]


def test_a_post_that_ends_when_its_buyer_has_left_the_market_is_nobodys(clock: Clock) -> None:
    gateway = Gateway(clock)
    before = gateway.entry("ann").endpoint

    async def slow() -> Delivery:
        others = read(market({"bob": "http://127.0.0.1:9"}))
        gateway.brakes.put_in_force(compile_book(others, 2, {("bob", "default"): {}}))
        return Unknown("silence")

    for _ in range(5):
        gateway.brakes.put_in_force(gateway.book)
        asyncio.run(gateway.brakes.delivering("ann", before, slow()))
    assert gateway.brakes.unwell() == []


def test_silence_in_a_hurry_is_nobodys_fault(clock: Clock) -> None:
    gateway = Gateway(clock)
    for _ in range(100):
        gateway.ping("ann", Refusal(Reason.TIMEOUT), 399.0)
    assert gateway.out("ann") is None
    for _ in range(5):
        gateway.ping("ann", Refusal(Reason.TIMEOUT), 400.0)
    assert gateway.out("ann") is Reason.BREAKER_OPEN


@pytest.mark.parametrize("pinged", [True, False])
def test_posts_come_back_by_pings_or_where_there_are_none_by_time(clock: Clock, pinged: bool) -> None:
    gateway = Gateway(clock)
    for _ in range(5):
        gateway.post("ann", Unknown("HTTP 503"))
    entry = gateway.entry("ann")
    assert gateway.out("ann") is None
    assert gateway.brakes.takes_no_post(entry)
    assert not gateway.brakes.takes_no_post(gateway.entry("bob"))
    for _ in range(5):
        gateway.ping("ann", Bid(1))  # within its rest they prove nothing
    gateway.later(13)
    assert gateway.brakes.takes_no_post(entry)
    if pinged:
        for number in range(3):
            assert gateway.brakes.takes_no_post(entry), number
            gateway.ping("ann", Bid(1))
    else:
        gateway.later(NO_PINGS_S - 5)
        assert gateway.brakes.takes_no_post(entry)
        gateway.later(6)
    assert not gateway.brakes.takes_no_post(entry)


def test_pings_that_fail_keep_posts_away(clock: Clock) -> None:
    gateway = Gateway(clock)
    for _ in range(5):
        gateway.post("ann", Unknown("silence"))
    for _ in range(20):
        gateway.later(5)
        gateway.ping("ann", Refusal(Reason.NO_BID))
        gateway.ping("ann", DOWN)
        if gateway.brakes.of("ann", gateway.entry("ann").endpoint).post.state is State.CLOSED:
            break
    else:
        pytest.fail("answered pings count, also between failed ones")
    gateway.post("ann", Accepted())


def test_an_endpoint_that_does_not_get_well_is_paused_on_a_fresh_failure(clock: Clock) -> None:
    gateway = Gateway(clock)
    for name in NAMES:
        gateway.ping(name, Bid(1))
    gateway.opened("ann")
    gateway.later(1_000)  # nobody asks, so nobody knows
    assert gateway.brakes.pausing == {}
    brake = gateway.brakes.of("ann", gateway.entry("ann").endpoint)
    assert gateway.brakes.refusal(brake, clock.now_s) is None
    gateway.ping("ann", DOWN)
    [pause] = gateway.brakes.pausing.values()
    assert (pause.buyer, pause.endpoint) == ("ann", "default")
    assert "pings failed, the last by server_error" in pause.why
    assert gateway.out("ann") is Reason.PAUSED
    assert gateway.brakes.takes_no_post(gateway.entry("ann"))


def test_a_shadow_and_a_breaker_that_is_off_pause_nobody(clock: Clock) -> None:
    for breaker in ({"shadow": True}, {"enabled": False}):
        gateway = Gateway(clock, {"breaker": breaker})
        for _ in range(50):
            for _ in range(5):
                gateway.ping("ann", DOWN)
            gateway.later(20)
        assert gateway.out("ann") is None
        assert gateway.brakes.pausing == {}


def test_while_most_endpoints_fail_none_is_paused(clock: Clock) -> None:
    gateway = Gateway(clock)
    for name in NAMES:
        gateway.opened(name)
    for _ in range(20):
        gateway.later(20)
        for name in NAMES:
            brake = gateway.brakes.of(name, gateway.entry(name).endpoint)
            if gateway.brakes.refusal(brake, clock.now_s) is None:
                gateway.ping(name, DOWN)
    assert gateway.brakes.pausing == {}


@pytest.mark.parametrize("others", [0, 3])
def test_while_posts_to_most_endpoints_fail_none_is_paused(clock: Clock, others: int) -> None:
    gateway = Gateway(clock)
    for name in NAMES:
        gateway.ping(name, Bid(1))
    for _ in range(3):
        gateway.post_badly("ann")
        gateway.later(NO_PINGS_S + 15)  # nobody pings, so it closes by time
    for name in NAMES[1 : 1 + others]:
        gateway.post_badly(name)
    gateway.post_badly("ann")
    assert list(gateway.brakes.pausing) == ([] if others else [("ann", "default")])


def test_where_nobody_is_pinged_the_breaker_for_posts_is_said_to_close_once(clock: Clock) -> None:
    labels = {"buyer": "ann", "endpoint": "default", "phase": "post", "state": "closed"}
    before = metrics.REGISTRY.get("exchange_breaker_changes_total", labels) or 0
    gateway = Gateway(clock)
    gateway.post_badly("ann")
    gateway.later(NO_PINGS_S + 15)
    assert metrics.REGISTRY.get("exchange_breaker_changes_total", labels) == before + 1


def test_a_reset_closes_everything_once(clock: Clock) -> None:
    gateway = Gateway(clock)
    gateway.opened("ann")
    for _ in range(5):
        gateway.post("ann", Unknown("silence"))
    resets: dict[Any, datetime] = {("ann", "default"): datetime.now(UTC)}
    gateway.brakes.follow([], resets)
    assert gateway.brakes.unwell() == []
    assert gateway.out("ann") is None
    gateway.opened("ann")
    gateway.brakes.follow([], resets)
    assert gateway.out("ann") is Reason.BREAKER_OPEN
    gateway.brakes.follow([], {("ann", "default"): datetime.now(UTC) + timedelta(seconds=1)})
    assert gateway.out("ann") is None


def test_limits_are_divided_among_gateways(clock: Clock) -> None:
    gateway = Gateway(clock, {"rate": {"per_s": 100, "burst": 40}})
    brake = gateway.brakes.of("ann", gateway.entry("ann").endpoint)

    def taken() -> int:
        return sum(gateway.brakes.refusal(brake, clock.now_s) is None for _ in range(100))

    assert taken() == 40
    gateway.brakes.share(4)
    gateway.later(1)
    assert taken() == 10
    gateway.later(0.1)
    assert taken() == 2
    gateway.brakes.share(1_000)
    gateway.later(100)
    assert taken() == 1
