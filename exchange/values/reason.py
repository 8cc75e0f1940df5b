"""The closed list of reason codes: every no has exactly one, and the text that a person reads (contract, section 5)."""

from enum import IntEnum
from typing import Self


class Reason(IntEnum):
    """A reason code. `wire_name` is its name on the wire, `text` says it in a sentence."""

    wire_name: str
    text: str

    def __new__(cls, code: int, text: str) -> Self:
        self = int.__new__(cls, code)
        self._value_ = code
        self.text = text
        return self

    def __init__(self, *_: object) -> None:
        self.wire_name = self.name.lower()

    BID = 0, "The buyer's bid is valid and waits for the decision."
    NO_BID = 1, "The buyer was asked and did not want the lead."
    WON = 2, "The buyer's bid won."

    TIMEOUT = 101, "The buyer had not answered when the auction was decided."
    CONNECT_FAILED = 102, "No connection to the buyer could be made."
    TLS_FAILED = 103, "The secure connection to the buyer could not be made."
    DNS_FAILED = 104, "The buyer's host name could not be resolved."
    SERVER_ERROR = 105, "The buyer answered with a server error (5xx)."
    CLIENT_ERROR = 106, "The buyer refused the request (4xx)."
    TOO_MANY_REQUESTS = 107, "The buyer asked for fewer requests (429)."
    INVALID_RESPONSE = 108, "The buyer's answer could not be understood."
    RESPONSE_TOO_LARGE = 109, "The buyer's answer was larger than is read."
    CONNECTION_LOST = 110, "The connection to the buyer broke before a whole answer."
    REDIRECT_REFUSED = 111, "The buyer answered with a redirect, which is not followed."
    INTERNAL_ERROR = 112, "The exchange failed while asking this buyer."
    ADDRESS_REFUSED = 113, "The buyer's address is private or otherwise not allowed."

    FILTERED = 201, "The order's filter does not accept this lead."
    OUTSIDE_SCHEDULE = 202, "The order is closed at this hour."
    CAPPED = 203, "The order has reached a cap on its number of leads."
    OUT_OF_BUDGET = 204, "The order has spent its budget."
    INSUFFICIENT_BALANCE = 205, "The buyer's available balance does not cover the lead."
    PAUSED = 206, "The order is paused or its endpoint cannot be used."
    BREAKER_OPEN = 207, "The buyer's endpoint has been failing and rests."
    BUSY = 208, "Too many calls to this buyer are under way."
    BUYER_RATE_LIMITED = 209, "The buyer's own limit on requests is reached."
    NO_TIME_LEFT = 210, "Too little time was left to ask this buyer."
    DUPLICATE_FOR_BUYER = 211, "The buyer has had this person before."
    SELLER_EXCLUDED = 212, "The order does not take leads from this seller."
    BUYER_CONSENT_MISSING = 213, "The consent that this order needs is missing."
    TIER_NOT_REACHED = 214, "An earlier tier had already found a buyer."
    NOT_SELECTED = 215, "More orders were eligible than may be asked."

    BELOW_FLOOR = 301, "The bid is below the floor."
    ABOVE_MAX_BID = 302, "The bid is above the buyer's own limit."
    INVALID_PRICE = 303, "The bid's price is not an amount."
    WRONG_CURRENCY = 304, "The bid is in another currency."
    LATE = 305, "The bid came after its own deadline."
    SUPERSEDED = 306, "The same order had a better bid."
    OUTBID = 307, "Another bid ranked higher."
    NOT_TAKEN = 308, "The seller did not sell at the best price."

    DUPLICATE = 401, "This person has been sold within the campaign's window."
    SUPPRESSED = 402, "This person must not be contacted."
    CONSENT_MISSING = 403, "The campaign's required consent is missing."
    SELLER_CAPPED = 404, "The seller has reached a cap."
    NO_ELIGIBLE_ORDERS = 406, "No order could be asked for this lead."
    NO_BIDS = 407, "Buyers were asked and none made a valid bid."
    BELOW_MIN_PRICE = 408, "The best payout is below the seller's least price."
    QUEUE_ENDED = 409, "The lead does not wait for a buyer any more: its market, an operator or an erasure ended that."

    ACCEPTED = 501, "The buyer accepted the lead."
    REJECTED_BY_BUYER = 502, "The buyer rejected the lead."
    DUPLICATE_AT_BUYER = 503, "The buyer already has the lead."
    NOT_SENT = 504, "Nothing reached the buyer."
    UNKNOWN = 505, "The lead was sent and no clear answer came: it is not offered to anyone else."
    OFFER_WITHDRAWN = 506, "No order of the offer could still be taken."
    PRESUMED_ACCEPTED = 507, "No answer came in the agreed time: taken as accepted."
    PRESUMED_REJECTED = 508, "No answer came in the agreed time: taken as rejected."
