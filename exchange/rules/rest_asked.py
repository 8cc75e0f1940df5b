"""How long a buyer asks to be left alone: the Retry-After of a 429 (RFC 9110, 10.2.3)."""

from datetime import UTC
from email.utils import parsedate_to_datetime


def rest_asked_s(retry_after: bytes, now_s: float, longest_s: float) -> float:
    """The seconds, or those up to the date, that the header says, at most `longest_s`; 0 where it says neither.

    `now_s` is a Unix time.
    """
    text = retry_after.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), longest_s)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError, IndexError, TypeError):  # the parser of dates lets all of them through
        return 0.0
    until_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return min(max(0.0, until_s - now_s), longest_s)
