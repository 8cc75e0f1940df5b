"""The reason codes: the contract's table, and what extends it (308), no more and no less."""

import pytest

from exchange.values.reason import Reason

TABLE = {
    0: "bid",
    1: "no_bid",
    2: "won",
    101: "timeout",
    102: "connect_failed",
    103: "tls_failed",
    104: "dns_failed",
    105: "server_error",
    106: "client_error",
    107: "too_many_requests",
    108: "invalid_response",
    109: "response_too_large",
    110: "connection_lost",
    111: "redirect_refused",
    112: "internal_error",
    113: "address_refused",
    201: "filtered",
    202: "outside_schedule",
    203: "capped",
    204: "out_of_budget",
    205: "insufficient_balance",
    206: "paused",
    207: "breaker_open",
    208: "busy",
    209: "buyer_rate_limited",
    210: "no_time_left",
    211: "duplicate_for_buyer",
    212: "seller_excluded",
    213: "buyer_consent_missing",
    214: "tier_not_reached",
    215: "not_selected",
    301: "below_floor",
    302: "above_max_bid",
    303: "invalid_price",
    304: "wrong_currency",
    305: "late",
    306: "superseded",
    307: "outbid",
    308: "not_taken",
    401: "duplicate",
    402: "suppressed",
    403: "consent_missing",
    404: "seller_capped",
    406: "no_eligible_orders",
    407: "no_bids",
    408: "below_min_price",
    409: "queue_ended",
    501: "accepted",
    502: "rejected_by_buyer",
    503: "duplicate_at_buyer",
    504: "not_sent",
    505: "unknown",
    506: "offer_withdrawn",
    507: "presumed_accepted",
    508: "presumed_rejected",
}


def test_the_reason_codes_are_the_contracts_table() -> None:
    assert {int(reason): reason.wire_name for reason in Reason} == TABLE


@pytest.mark.parametrize("reason", list(Reason), ids=lambda reason: reason.wire_name)
def test_every_reason_says_itself_in_a_sentence(reason: Reason) -> None:
    assert reason.text.endswith(".")
    assert reason.text[0].isupper()
    assert [other for other in Reason if other.text == reason.text] == [reason]


@pytest.mark.parametrize("code", TABLE)
def test_a_stored_code_reads_back_as_its_reason(code: int) -> None:
    assert Reason(code).wire_name == TABLE[code]
