"""What all dialects make of what a buyer says: texts that may be kept, addresses for a seller, statuses."""

from typing import Any
from urllib.parse import urlsplit

from exchange.values.bid import Refusal
from exchange.values.reason import Reason

TEXT_LENGTH_MAX = 255
URL_LENGTH_MAX = 2048
NO_BID = Refusal(Reason.NO_BID)


def unasked_status(status: int) -> Refusal:
    """What an answer to a ping means that is not a 200, where nothing else is agreed."""
    if status == 204:
        return NO_BID
    if status == 429:
        return Refusal(Reason.TOO_MANY_REQUESTS)
    reason = {3: Reason.REDIRECT_REFUSED, 4: Reason.CLIENT_ERROR, 5: Reason.SERVER_ERROR}.get(status // 100)
    return Refusal(reason or Reason.INVALID_RESPONSE, f"HTTP {status}")


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
