"""Duplicates: what makes two leads the same person, and for how long that matters to whom."""

import hashlib
from collections.abc import Mapping

from exchange.values.market import Buyer, Campaign
from exchange.values.vertical import Lead, Value, Vertical

Hashes = Mapping[str, bytes]
"""SHA-256 of the normalised value of each identity field that a lead has."""


def window_days(item: Campaign | Buyer) -> int | None:
    """For how long a campaign, or a buyer, does not want a person again; None where he may come at any time."""
    return None if item.duplicates is None else item.duplicates.window_days


def identity_hashes(vertical: Vertical, lead: Lead) -> Hashes:
    """What tells this person from others; a field that the lead has not tells nothing."""
    return {name: hashlib.sha256(_text(lead[name])).digest() for name in vertical.identity if name in lead}


def content_of(vertical: str, field: str, digest: bytes) -> bytes:
    """What is to be keyed: the same value in another field or vertical is another matter."""
    return b"\0".join((vertical.encode(), field.encode(), digest))


def _text(value: Value) -> bytes:
    if isinstance(value, bool):
        return b"true" if value else b"false"
    return str(value).encode()
