"""Every metric of the exchange, in one list. Label values come from the market and the reason codes."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from exchange.observe.tables import CounterTable, HistogramTable

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each one that nobody reads

REGISTRY = CollectorRegistry()

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

PINGS = CounterTable(
    "exchange_pings",
    "Pings answered, by status and, where there is no offer, reason.",
    ["campaign", "status", "reason"],
    REGISTRY,
)
PING_SECONDS = HistogramTable(
    "exchange_ping_seconds",
    "Time from a ping's arrival to its answer.",
    ["campaign"],
    _SECONDS,
    REGISTRY,
)
PING_ORDERS_ASKED = HistogramTable(
    "exchange_ping_orders_asked",
    "Orders asked at once for one ping.",
    ["campaign"],
    (0, 1, 2, 5, 10, 20, 50, 100, 200),
    REGISTRY,
)
POSTS = Counter(
    "exchange_posts",
    "Posts answered, by status and, where it is not accepted, reason.",
    ["campaign", "status", "reason"],
    registry=REGISTRY,
)
POST_SECONDS = Histogram(
    "exchange_post_seconds",
    "Time from a post's arrival to its answer.",
    ["campaign"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
BUYER_PINGS = CounterTable(
    "exchange_buyer_pings",
    "What became of the orders that the filters let through, by buyer and reason.",
    ["buyer", "reason"],
    REGISTRY,
)
BUYER_PING_SECONDS = HistogramTable(
    "exchange_buyer_ping_seconds",
    "Time a buyer took to answer a ping.",
    ["buyer"],
    _SECONDS,
    REGISTRY,
)
BUYER_POSTS = Counter(
    "exchange_buyer_posts",
    "Attempts, by buyer and reason.",
    ["buyer", "reason"],
    registry=REGISTRY,
)
BUYER_POST_SECONDS = Histogram(
    "exchange_buyer_post_seconds",
    "Time a buyer took to answer a post.",
    ["buyer"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
ATTEMPTS_RESOLVED = Counter(
    "exchange_attempts_resolved",
    "Attempts that were unknown and are no more, by buyer, how that came, and reason.",
    ["buyer", "how", "reason"],
    registry=REGISTRY,
)
ATTEMPTS_ASKED = Counter(
    "exchange_attempts_asked",
    "Questions what became of an unknown attempt, by buyer, means and what was said.",
    ["buyer", "means", "said"],
    registry=REGISTRY,
)
ATTEMPTS_UNKNOWN = Gauge("exchange_attempts_unknown", "Attempts that are unknown, seen by a worker.", registry=REGISTRY)
ATTEMPTS_UNKNOWN_AGE = Gauge(
    "exchange_attempts_unknown_age_seconds", "Age of the oldest unknown attempt, seen by a worker.", registry=REGISTRY
)
SALES_MICROS = Counter(
    "exchange_sales_micros",
    "Money of accepted sales in micro-units: gross, payout and margin.",
    ["campaign", "part"],
    registry=REGISTRY,
)
PROBLEMS = Counter(
    "exchange_problems",
    "Requests answered with an error, by code.",
    ["code"],
    registry=REGISTRY,
)
JOURNAL_ROWS = Counter("exchange_journal_rows", "Pings committed.", registry=REGISTRY)
JOURNAL_ROWS_LOST = Counter(
    "exchange_journal_rows_lost",
    "Pings that could not be recorded; none of them was told an offer.",
    registry=REGISTRY,
)
JOURNAL_FULL = Counter("exchange_journal_full", "Pings refused because the journal was full.", registry=REGISTRY)
JOURNAL_BATCH_ROWS = Histogram(
    "exchange_journal_batch_rows",
    "Pings committed together.",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
    registry=REGISTRY,
)
FLUSH_SECONDS = Histogram(
    "exchange_flush_seconds",
    "Time PostgreSQL took to make the commits of this process durable, several at once.",
    buckets=_SECONDS,
    registry=REGISTRY,
)
FEED_ITEMS_LOST = Counter(
    "exchange_feed_items_lost", "Items of the live feed that Valkey did not take.", registry=REGISTRY
)
OUTBOX_TRIES = Counter(
    "exchange_outbox_tries",
    "What became of rows of the outbox that were to be sent, by kind: sent, failed (tried again later), dead.",
    ["kind", "outcome"],
    registry=REGISTRY,
)
OUTBOX_ROWS = Gauge(
    "exchange_outbox_rows",
    "Rows of the outbox, seen by a worker, by kind and state.",
    ["kind", "state"],
    registry=REGISTRY,
)
OUTBOX_AGE = Gauge(
    "exchange_outbox_age_seconds",
    "Age of the oldest row of the outbox that waits, by kind.",
    ["kind"],
    registry=REGISTRY,
)
MARKET_VERSION = Gauge("exchange_market_version", "The market version in force in this process.", registry=REGISTRY)
ENDPOINTS_WITHOUT_SECRET = Gauge(
    "exchange_endpoints_without_secret",
    "Endpoints whose orders are paused because their secret is not set.",
    registry=REGISTRY,
)
ALL = (
    PINGS, PING_SECONDS, PING_ORDERS_ASKED, POSTS, POST_SECONDS, BUYER_PINGS, BUYER_PING_SECONDS, BUYER_POSTS,
    BUYER_POST_SECONDS, ATTEMPTS_RESOLVED, ATTEMPTS_ASKED, ATTEMPTS_UNKNOWN, ATTEMPTS_UNKNOWN_AGE,
    SALES_MICROS, PROBLEMS, JOURNAL_ROWS, JOURNAL_ROWS_LOST, JOURNAL_FULL,
    JOURNAL_BATCH_ROWS, FLUSH_SECONDS, FEED_ITEMS_LOST, OUTBOX_TRIES, OUTBOX_ROWS, OUTBOX_AGE, MARKET_VERSION,
    ENDPOINTS_WITHOUT_SECRET,
)  # fmt: skip
