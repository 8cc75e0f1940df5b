"""The limits of a market file: everything in it is bounded, and every bound has a name."""

from exchange.rules.shares import SHARES_MAX

FILE_BYTES_MAX = 64 * 1024 * 1024
"""Of the YAML text in UTF-8; ORDERS_MAX orders of usual length fit."""

DEPTH_MAX = 16
"""Mappings and lists inside one another; a market needs eight."""

NODES_MAX = 10_000_000
"""Keys, values, mappings and lists in one file."""

SOURCE_PROBLEMS_MAX = 1_000
"""Faults of writing after which reading stops."""

VERTICALS_MAX = 1_000
CAMPAIGNS_MAX = 10_000
SELLERS_MAX = 100_000
BUYERS_MAX = 100_000
ORDERS_MAX = 200_000
ENDPOINTS_MAX = 50
"""Of one buyer."""

FIELDS_MAX = 200
"""Of one vertical."""

VALUES_MAX = 10_000
"""In one list of a condition, and of one enum."""

GROUP_DEPTH_MAX = 4
"""Groups of conditions inside one another."""

GROUP_MEMBERS_MAX = 100
"""Conditions in one group."""

ALTERNATIVES_MAX = 100
"""Of one filter, when its groups are spelled out."""

PATTERN_CHARS_MAX = 200
PATTERNS_MAX = 100
"""Different ones on one field of a vertical: a lead may have to try all of them."""

MILES_MAX = 500
"""Of a radius."""

TEXT_CHARS_MAX = 1_000
"""Of one text in the file, whatever it says."""

SECRET_CHARS_MAX = 4_096
URL_CHARS_MAX = 2_048
FIELD_CHARS_MAX = 65_536
"""The largest `max_length` of a text field: a whole request is no longer."""

PING_TIMEOUT_MS = (50, 30_000)
POST_TIMEOUT_MS = (500, 120_000)
OFFER_TTL_S = (1, 86_400)
AGE_DAYS = (0, 36_500)
AGE_HOURS = (0, 876_000)
KEEP_ALIVE_S = (0, 3_600)
PRESUME_DAYS = (1, 365)
BREAKER_PERCENT = (1, 100)
BREAKER_CALLS = (5, 100_000)
BREAKER_WINDOW_S = (1, 3_600)
BREAKER_REST_S = (1, 3_600)
PROBES_PERCENT = (1, 50)
PAUSE_AFTER_S = (60, 2_592_000)
IN_FLIGHT = (1, 100_000)
RETURN_DAYS = (0, 365)
CAP = (0, 1_000_000_000)
WINDOW_DAYS = (1, 3_650)
TIER_SHARE = (1, 100)
FANOUT = (1, 10_000)
WEIGHT = (1, 1_000_000)
SHARES = (1, SHARES_MAX)
QUEUE_FOR_S = (60, 2_592_000)
QUEUE_EVERY_S = (10, 86_400)
QUEUE_LEADS = (1, 100_000)
NOTICE_DELAY_MIN = (0, 1_440)
NOTICE_STEP_MICROS_MIN = 100_000
"""What a clearing price is rounded to at least, in micro-units: it must not tell what somebody bid."""

PRIORITY = (-1_000_000, 1_000_000)
AMOUNT_RULES_MAX = 100
"""In one list of prices or floors."""

SUB_CAPS_MAX = 50
"""Of one order."""

SPACING_S = (1, 86_400)
RATE = (1, 1_000_000)
"""Requests a second, and at once."""

SCHEDULE_WINDOWS_MAX = 50
HOLIDAYS_MAX = 1_000
"""Of one schedule."""

YEARS = (2000, 2199)
"""Of dates in a schedule and a pause."""

CONSENTS_MAX = 50
"""Of one order, and of one campaign."""

PARTS_MAX = 500
"""Fields, headers and parts of the query of one message of a mapping."""

CONDITIONS_MAX = 50
"""Of one kind of rule on an answer."""

WORDS_MAX = 1_000
"""In one list of words or one translation of a mapping."""

DELIVERIES_MAX = 10
"""That follow a sale, of one order."""

RECIPIENTS_MAX = 10
"""Of one e-mail."""

TEMPLATE_CHARS_MAX = 20_000
AFTER_S = (0, 2_592_000)
EVERY_MIN = (1, 1_440)
RETRIES = (1, 1_000)
RETRY_S = (1, 86_400)
PORT = (1, 65_535)

SUGGESTION_CANDIDATES_MAX = 1_000
SUGGESTIONS_MAX = 100
"""Spelling help is a search: a file with more problems than this has another trouble than spelling."""
