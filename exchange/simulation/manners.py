"""How simulated buyers behave: stated in figures, so that a run can be judged against what was to be expected."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

PERCENT_FIELDS_AT_PING = ("ping_error_pct", "ping_garbage_pct", "ping_silence_pct", "absurd_price_pct")
PERCENT_FIELDS_AT_POST = (
    "reject_pct",
    "duplicate_pct",
    "drop_reply_pct",
    "post_error_pct",
    "slow_accept_pct",
    "late_accept_pct",
)


@dataclass(frozen=True, slots=True)
class Manners:
    """One buyer's behaviour. Times are in milliseconds, `_pct` are percentages, bids are in whole cents.

    At a ping the first that applies of error, garbage, silence, absurd price; otherwise he bids with a chance of
    `appetite`, evenly between `bid_low_cents` and `bid_high_cents`. At a post the first that applies of reject,
    duplicate, and the five ways to accept: without a reply (the connection is closed), with a 500, slowly (still in
    time), late (when nobody waits any more), and as one should.
    """

    name: str
    think_ms: tuple[int, int] = (0, 0)  # evenly between the two, at ping and at post
    appetite: float = 1.0  # 0 to 1
    bid_low_cents: int = 500
    bid_high_cents: int = 500
    bearer: str | None = None  # the token that he demands, None for none

    ping_error_pct: float = 0  # answers 500
    ping_garbage_pct: float = 0  # answers something that is not a bid
    ping_silence_pct: float = 0  # says nothing, keeps the connection open
    absurd_price_pct: float = 0  # NaN, negative, or beyond all reason
    empty_no_bid_pct: float = 50  # of his no-bids: 204, the others {"bid": 0}
    closed_pct: float = 0  # of the time: nobody listens on his port

    reject_pct: float = 0
    duplicate_pct: float = 0
    drop_reply_pct: float = 0
    post_error_pct: float = 0
    slow_accept_pct: float = 0
    slow_ms: int = 800
    late_accept_pct: float = 0
    late_ms: int = 4000

    def __post_init__(self) -> None:
        percentages = {item.name: getattr(self, item.name) for item in fields(self) if item.name.endswith("_pct")}
        if not all(0 <= value <= 100 for value in percentages.values()):
            raise ValueError(f"{self.name}: percentages lie between 0 and 100")
        for group in (PERCENT_FIELDS_AT_PING, PERCENT_FIELDS_AT_POST):
            if sum(percentages[name] for name in group) > 100:
                raise ValueError(f"{self.name}: {', '.join(group)} add up to more than 100")
        if not 0 <= self.appetite <= 1:
            raise ValueError(f"{self.name}: appetite lies between 0 and 1")
        if not (0 <= self.think_ms[0] <= self.think_ms[1] and 0 < self.bid_low_cents <= self.bid_high_cents):
            raise ValueError(f"{self.name}: ranges go from low to high")


def token_of(name: str) -> str:
    """The bearer token that a simulated buyer of this name demands, where he demands one."""
    return f"{name}-simulated"


def demo_buyers() -> tuple[Manners, ...]:
    """The buyers of the example market (demo_market.yaml), in the order of their ports."""
    return (
        Manners(
            "northwind", (4, 25), appetite=0.85, bid_low_cents=1400, bid_high_cents=3200, bearer=token_of("northwind")
        ),
        Manners("harborline", (110, 240), appetite=0.8, bid_low_cents=1800, bid_high_cents=4600),
        Manners("summit", (15, 60), appetite=0.3, bid_low_cents=3000, bid_high_cents=6500, bearer=token_of("summit")),
        Manners("pennywise", (2, 12), appetite=0.98, bid_low_cents=300, bid_high_cents=2000, empty_no_bid_pct=0),
        Manners(
            "bluebird", (8, 50), appetite=0.8, bid_low_cents=1200, bid_high_cents=3000,
            ping_error_pct=12, ping_garbage_pct=8,
        ),
        Manners(
            "ironclad", (10, 70), appetite=0.75, bid_low_cents=1500, bid_high_cents=3600, bearer=token_of("ironclad"),
            reject_pct=20, duplicate_pct=8,
        ),
        Manners(
            "lighthouse", (10, 60), appetite=0.7, bid_low_cents=1300, bid_high_cents=3400,
            drop_reply_pct=8, post_error_pct=6,
        ),
        Manners(
            "drowsy", (60, 200), appetite=0.8, bid_low_cents=1500, bid_high_cents=3800,
            ping_silence_pct=15, slow_accept_pct=40, slow_ms=900,
        ),
        Manners(
            "sunrise", (5, 40), appetite=0.9, bid_low_cents=3000, bid_high_cents=9000, bearer=token_of("sunrise")
        ),
        Manners(
            "heliotrope", (20, 90), appetite=0.75, bid_low_cents=2800, bid_high_cents=8500,
            absurd_price_pct=10, late_accept_pct=8, late_ms=3500,
        ),
        Manners("greenroof", (10, 80), appetite=0.9, bid_low_cents=2500, bid_high_cents=7000, reject_pct=5),
        Manners("tidewater", (10, 60), appetite=0.8, bid_low_cents=1400, bid_high_cents=6000, closed_pct=25),
    )  # fmt: skip


def slower(buyers: Iterable[Manners], by_ms: int) -> tuple[Manners, ...]:
    """The same buyers, each of whom thinks so much longer at ping and at post."""
    return tuple(replace(one, think_ms=(one.think_ms[0] + by_ms, one.think_ms[1] + by_ms)) for one in buyers)


def farm_buyers(count: int) -> tuple[Manners, ...]:
    """Well-behaved buyers: number i (from 0) answers at once, always bids 5.00 + 0.40 x i, and accepts every post."""
    return tuple(
        Manners(f"buyer-{index + 1:02d}", bid_low_cents=500 + 40 * index, bid_high_cents=500 + 40 * index)
        for index in range(count)
    )
