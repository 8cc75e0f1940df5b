"""Every metric of the exchange, in one list. Label values come from the market and closed lists, never from a lead."""

from exchange.observe.registry import Registry
from exchange.observe.tables import CounterTable, GaugeTable, HistogramTable

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_PING_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 5)
_POST_SECONDS = (0.1, 0.5, 2, 10)
"""A buyer has few buckets, for there may be thousands of buyers: thirty series for each at most, as a rule."""

# Sellers

PINGS = CounterTable(
    "exchange_pings",
    "Pings answered, by status and, where there is no offer, reason.",
    ["campaign", "status", "reason"],
)
PING_SECONDS = HistogramTable(
    "exchange_ping_seconds", "Time from a ping's arrival to its answer.", ["campaign"], _SECONDS
)
PING_OWN_SECONDS = HistogramTable(
    "exchange_ping_own_seconds", "Of a ping's time, what the exchange took and no buyer.", [], _SECONDS
)
PING_PHASE_SECONDS = HistogramTable("exchange_ping_phase_seconds", "Time in each phase of a ping.", ["phase"], _SECONDS)
PING_ORDERS_ASKED = HistogramTable(
    "exchange_ping_orders_asked", "Orders asked for one ping.", ["campaign"], (0, 1, 2, 5, 10, 20, 50, 100, 200)
)
PINGS_IN_FLIGHT = GaugeTable("exchange_pings_in_flight", "Pings under way.")
PINGS_IN_HAND = GaugeTable("exchange_pings_in_hand", "Of these, the ones that do not wait for their buyers.")
PINGS_IN_HAND_LIMIT = GaugeTable("exchange_pings_in_hand_limit", "How many pings may be in hand.")
PINGS_WAITING = GaugeTable("exchange_pings_waiting", "Pings that wait to be let in.")
PING_WAIT_SECONDS = HistogramTable(
    "exchange_ping_wait_seconds", "Time that pings waited to be let in, of those that had to.", [], _SECONDS
)
POSTS = CounterTable(
    "exchange_posts",
    "Posts answered, by status and, where it is not accepted, reason.",
    ["campaign", "status", "reason"],
)
POST_SECONDS = HistogramTable(
    "exchange_post_seconds", "Time from a post's arrival to its answer.", ["campaign"], _SECONDS
)
SALES = CounterTable("exchange_sales", "Sales, tests left out, by how they became known.", ["campaign", "how"])
SALES_MICROS = CounterTable(
    "exchange_sales_micros",
    "Money of sales in micro-units: gross, payout and margin.",
    ["campaign", "part"],
)
CLAIMS_REFUSED = CounterTable(
    "exchange_claims_refused",
    "Orders of an offer that could not have the lead at the post, by reason.",
    ["campaign", "reason"],
)
PROBLEMS = CounterTable("exchange_problems", "Requests answered with an error, by door and code.", ["door", "code"])
REQUESTS_SHED = CounterTable("exchange_requests_shed", "Requests refused for want of capacity, by cause.", ["cause"])
LIMITS_HIT = CounterTable("exchange_limits_hit", "How often a limit was reached.", ["limit"])

# Buyers

BUYER_PINGS = CounterTable(
    "exchange_buyer_pings",
    "What became of the orders that the filters let through, by buyer and reason.",
    ["buyer", "reason"],
)
BUYER_PING_SECONDS = HistogramTable(
    "exchange_buyer_ping_seconds", "Time a buyer took to answer a ping.", ["buyer"], _PING_SECONDS
)
BUYER_POSTS = CounterTable("exchange_buyer_posts", "Attempts, by buyer and reason.", ["buyer", "reason"])
BUYER_POST_SECONDS = HistogramTable(
    "exchange_buyer_post_seconds", "Time a buyer took to answer a post.", ["buyer"], _POST_SECONDS
)
TOKENS = CounterTable(
    "exchange_tokens",
    "Access tokens: fetched, failed to be, or refused by a buyer, by the address that gives them.",
    ["address", "result"],
)
CONNECTIONS = CounterTable(
    "exchange_connections",
    "Connections for pings, by address in the market, and what became of them.",
    ["address", "result"],
)
CONNECTIONS_OPEN = GaugeTable("exchange_connections_open", "Connections for pings that are open.", ["address"])
CONNECT_SECONDS = HistogramTable(
    "exchange_connect_seconds", "Time to connect for pings, name and handshake included.", [], _SECONDS
)
ADDRESS_CONNECT_SECONDS = CounterTable(
    "exchange_address_connect_seconds", "Time spent on connections that were made, by address.", ["address"]
)
POOL_WAIT_SECONDS = HistogramTable(
    "exchange_pool_wait_seconds", "Time that calls waited for a connection, of those that had to.", [], _SECONDS
)
ADDRESS_POOL_WAIT_SECONDS = CounterTable(
    "exchange_address_pool_wait_seconds", "Time that calls waited for a connection, by address.", ["address"]
)

BREAKER_STATE = GaugeTable(
    "exchange_breaker_state",
    "An endpoint's breaker, the worst of all gateways: 0 closed, 1 half open, 2 open.",
    ["buyer", "endpoint", "phase"],
    over=max,
)
BREAKER_CHANGES = CounterTable(
    "exchange_breaker_changes", "Changes of breakers, by the state after.", ["buyer", "endpoint", "phase", "state"]
)
ENDPOINT_SKIPS = CounterTable(
    "exchange_endpoint_skips",
    "Calls that were not made because an endpoint is to be left alone, by cause.",
    ["buyer", "endpoint", "cause"],
)
ENDPOINTS_PAUSED = GaugeTable(
    "exchange_endpoints_paused", "Endpoints that were paused because they failed for long.", over=max
)

# Attempts that are unknown

ATTEMPTS_RESOLVED = CounterTable(
    "exchange_attempts_resolved",
    "Attempts that were unknown and are no more, by buyer, how that came, and reason.",
    ["buyer", "how", "reason"],
)
ATTEMPTS_ASKED = CounterTable(
    "exchange_attempts_asked",
    "Questions what became of an unknown attempt, by buyer, means and what was said.",
    ["buyer", "means", "said"],
)
ATTEMPTS_UNKNOWN = GaugeTable("exchange_attempts_unknown", "Attempts that are unknown, seen by a worker.", over=max)
ATTEMPTS_UNKNOWN_AGE = GaugeTable(
    "exchange_attempts_unknown_age_seconds", "Age of the oldest unknown attempt, seen by a worker.", over=max
)
OPERATOR_VERDICTS = GaugeTable(
    "exchange_operator_verdicts",
    "Attempts that operators have settled, by verdict, ever; seen by a worker.",
    ["verdict"],
    over=max,
)

# The record, and the money

SLIPS = CounterTable(
    "exchange_slips",
    "Answers written down because Postgres did not know them: `what` was told, or `lost` for one that was not.",
    ["what"],
)
JOURNAL_ROWS = CounterTable("exchange_journal_rows", "Pings committed.")
JOURNAL_ROWS_LOST = CounterTable(
    "exchange_journal_rows_lost", "Pings that could not be recorded; none of them was told an offer."
)
JOURNAL_FULL = CounterTable("exchange_journal_full", "Pings refused because the journal was full.")
JOURNAL_DEPTH = GaugeTable("exchange_journal_depth", "Pings that wait for their commit.")
JOURNAL_BATCH_ROWS = HistogramTable(
    "exchange_journal_batch_rows", "Pings committed together.", [], (1, 2, 5, 10, 20, 50, 100, 200, 500)
)
JOURNAL_COMMIT_SECONDS = HistogramTable("exchange_journal_commit_seconds", "Time of one commit.", [], _SECONDS)
POSTGRES_WAIT_SECONDS = HistogramTable(
    "exchange_postgres_wait_seconds", "Time that work waited for a connection to Postgres.", [], _SECONDS
)
FLUSH_SECONDS = HistogramTable(
    "exchange_flush_seconds", "Time PostgreSQL took to make commits durable, several at once.", [], _SECONDS
)
FEED_ITEMS_LOST = CounterTable("exchange_feed_items_lost", "Items of the live feed that Valkey did not take.")
SPANS = CounterTable(
    "exchange_spans", "Spans for a tracing system: sent, lost on the way, or dropped as too many waited.", ["outcome"]
)
INVARIANTS_BROKEN = GaugeTable(
    "exchange_invariants_broken",
    "Rows that break an invariant of the money, seen by a worker.",
    ["invariant"],
    over=max,
)
INVARIANTS_CHECKED = GaugeTable(
    "exchange_invariants_checked_timestamp_seconds", "When a worker last checked the invariants.", over=max
)
OUTBOX_TRIES = CounterTable(
    "exchange_outbox_tries",
    "What became of rows of the outbox, by kind: sent, failed (tried again later), dead, skipped, postponed.",
    ["kind", "outcome"],
)
OUTBOX_ROWS = GaugeTable(
    "exchange_outbox_rows", "Rows of the outbox, seen by a worker, by kind and state.", ["kind", "state"], over=max
)
OUTBOX_AGE = GaugeTable(
    "exchange_outbox_age_seconds", "Age of the oldest row of the outbox that waits, by kind.", ["kind"], over=max
)
NOTICE_BIDS = CounterTable(
    "exchange_notice_bids",
    "Lost bids of buyers who ask for notices: told (put into the outbox), dropped (too many wait), expired.",
    ["buyer", "outcome"],
)
NOTICES_OVERDUE = GaugeTable(
    "exchange_notices_overdue_seconds",
    "For how long the oldest ping whose bidders may be told has waited for a worker.",
    over=max,
)

QUEUED_LEADS = CounterTable(
    "exchange_queued_leads",
    "Leads that found no buyer, by campaign and what became of them: queued, refused (too many wait), waits (run again "
    "in vain), posted, ended.",
    ["campaign", "outcome"],
)
QUEUE_ENDED = CounterTable(
    "exchange_queue_ended", "Queued leads whose wait ended without a buyer, by reason.", ["campaign", "reason"]
)
QUEUE_WAITING = GaugeTable(
    "exchange_queue_waiting", "Leads that wait for a buyer, seen by a worker.", ["campaign"], over=max
)
QUEUE_AGE = GaugeTable(
    "exchange_queue_age_seconds", "Age of the oldest lead that waits for a buyer.", ["campaign"], over=max
)
QUEUE_OVERDUE = GaugeTable(
    "exchange_queue_overdue_seconds", "By how much the most overdue run of a queued lead is late.", over=max
)

# The process

MARKET_VERSION = GaugeTable("exchange_market_version", "The market version in force.", over=min)
MARKET_APPLIED = GaugeTable(
    "exchange_market_applied_timestamp_seconds", "When the market in force was applied.", over=min
)
MARKET_COMPARED = GaugeTable(
    "exchange_market_compared_timestamp_seconds", "When the market was last compared with Postgres.", over=min
)
MARKET_TAKEN_UP_SECONDS = HistogramTable(
    "exchange_market_taken_up_seconds",
    "Time from when a gateway saw a new market until it was in force there.",
    [],
    (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30),
)
MARKET_STEP_SECONDS = HistogramTable(
    "exchange_market_step_seconds",
    "Steps in which a gateway took up a market or let one go, while its event loop did nothing else.",
    [],
    _SECONDS,
)
MARKET_READERS_LOST = CounterTable(
    "exchange_market_readers_lost", "Processes that were to read a market for a gateway and did not."
)
ENDPOINTS_WITHOUT_SECRET = GaugeTable(
    "exchange_endpoints_without_secret",
    "Endpoints whose orders are paused because their secret is not set.",
    over=max,
)
LOOP_LAG_SECONDS = HistogramTable(
    "exchange_loop_lag_seconds", "How late the event loop of a gateway ran something that was due.", [], _SECONDS
)
PROCESSES = GaugeTable("exchange_processes", "Processes that live, by role.", ["role"])
PROCESS_CPU_SECONDS = CounterTable("exchange_process_cpu_seconds", "CPU time used, by role.", ["role"])
PROCESS_RESIDENT_BYTES = GaugeTable("exchange_process_resident_bytes", "Most memory ever in use, by role.", ["role"])

ALL = (
    PINGS, PING_SECONDS, PING_OWN_SECONDS, PING_PHASE_SECONDS, PING_ORDERS_ASKED, PINGS_IN_FLIGHT,
    PINGS_IN_HAND, PINGS_IN_HAND_LIMIT, PINGS_WAITING, PING_WAIT_SECONDS, POSTS, POST_SECONDS,
    SALES, SALES_MICROS, CLAIMS_REFUSED, PROBLEMS, REQUESTS_SHED, LIMITS_HIT, BUYER_PINGS, BUYER_PING_SECONDS,
    BUYER_POSTS, BUYER_POST_SECONDS, TOKENS, CONNECTIONS, CONNECTIONS_OPEN, CONNECT_SECONDS, ADDRESS_CONNECT_SECONDS,
    POOL_WAIT_SECONDS, ADDRESS_POOL_WAIT_SECONDS, BREAKER_STATE, BREAKER_CHANGES, ENDPOINT_SKIPS, ENDPOINTS_PAUSED,
    ATTEMPTS_RESOLVED, ATTEMPTS_ASKED, ATTEMPTS_UNKNOWN, ATTEMPTS_UNKNOWN_AGE, OPERATOR_VERDICTS, SLIPS,
    JOURNAL_ROWS, JOURNAL_ROWS_LOST, JOURNAL_FULL, JOURNAL_DEPTH, JOURNAL_BATCH_ROWS,
    JOURNAL_COMMIT_SECONDS, POSTGRES_WAIT_SECONDS, FLUSH_SECONDS, FEED_ITEMS_LOST, SPANS, OUTBOX_TRIES,
    OUTBOX_ROWS, OUTBOX_AGE, NOTICE_BIDS, NOTICES_OVERDUE,
    QUEUED_LEADS, QUEUE_ENDED, QUEUE_WAITING, QUEUE_AGE, QUEUE_OVERDUE, INVARIANTS_BROKEN,
    INVARIANTS_CHECKED, MARKET_VERSION, MARKET_APPLIED, MARKET_COMPARED, MARKET_TAKEN_UP_SECONDS, MARKET_STEP_SECONDS,
    MARKET_READERS_LOST, ENDPOINTS_WITHOUT_SECRET, LOOP_LAG_SECONDS,
    PROCESSES, PROCESS_CPU_SECONDS, PROCESS_RESIDENT_BYTES,
)  # fmt: skip

REGISTRY = Registry(ALL, LIMITS_HIT)
