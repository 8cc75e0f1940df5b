"""What all dialects make of what a buyer says: the best of his bids, texts that may be kept, addresses, statuses."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from exchange.values.bid import Bid, Refusal, Reply
from exchange.values.market import Sale
from exchange.values.reason import Reason

BIDS_MAX = 16
"""How many bids may come in one answer."""

TEXT_LENGTH_MAX = 255
URL_LENGTH_MAX = 2048
NO_BID = Refusal(Reason.NO_BID)
NOT_ASKED = "a bid for a sale that was not asked"

_WHOLE = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


def unasked_status(status: int) -> Refusal:
    """What an answer to a ping means that is not a 200, where nothing else is agreed."""
    if status == 204:
        return NO_BID
    if status == 429:
        return Refusal(Reason.TOO_MANY_REQUESTS)
    reason = {3: Reason.REDIRECT_REFUSED, 4: Reason.CLIENT_ERROR, 5: Reason.SERVER_ERROR}.get(status // 100)
    return Refusal(reason or Reason.INVALID_RESPONSE, f"HTTP {status}")


def as_shared(bid: Bid, said: Any) -> Reply:
    """A shared bid; `said` is by how many buyers at most: optional, and a whole number above nothing."""
    if said is not None and not (isinstance(said, str) and _WHOLE.fullmatch(said)):
        return Refusal(Reason.INVALID_RESPONSE, "`max_shares` is not a number of buyers", bid.gross_micros)
    return bid._replace(sale=Sale.SHARED, shares_max=None if said is None else int(said))


def best_of(replies: Sequence[Reply]) -> Reply:
    """The order's best bid, exclusive before shared, with the others; without one, what says most about why not."""
    bids = [reply for reply in replies if isinstance(reply, Bid)]
    if bids:
        bids.sort(key=lambda bid: (bid.sale is not Sale.EXCLUSIVE, -bid.gross_micros))
        return bids[0]._replace(others=tuple(bids[1:]))
    mistakes = [reply for reply in replies if isinstance(reply, Refusal) and reply.reason is not Reason.NO_BID]
    return mistakes[0] if mistakes else NO_BID


def kept_text(value: Any) -> str | None:
    """A buyer's text that may be kept, or None: a reference is welcome, never needed."""
    return str(value)[:TEXT_LENGTH_MAX] if isinstance(value, str) and is_storable(value) else None


def redirect_url(value: Any) -> str | None:
    """A redirect URL that a seller can be given: http or https, printable, bounded."""
    if not isinstance(value, str) or len(value) > URL_LENGTH_MAX or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return str(value) if parts.scheme in {"http", "https"} and parts.netloc else None


def is_bid_id(value: Any) -> bool:
    """Whether a text can be kept and given back as it is."""
    if not isinstance(value, str) or len(value) > TEXT_LENGTH_MAX:
        return False
    return value.isprintable() or is_storable(value)


def is_storable(text: str) -> bool:
    """Whether Postgres can keep a text: no NUL, no lone surrogate."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text))
