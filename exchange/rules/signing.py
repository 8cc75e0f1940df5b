"""Signatures by Standard Webhooks: a receiver can tell that a request is ours, what it is called, and how old it is.

The source is the specification at https://www.standardwebhooks.com, version 1: HMAC-SHA256 over id, time and body.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64
SECRETS_MAX = 5
"""At a time: one, and those that are on their way in or out."""


def key_of(secret: str) -> bytes | None:
    """The key that a secret is the text of; None where it is not `whsec_` and 24 to 64 bytes in base64."""
    if not secret.startswith(PREFIX):
        return None
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX else None


def signature_headers(identifier: str, now_s: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers of one request: its name, which stays the same, a Unix time, and a signature with each key."""
    signed = f"{identifier}.{now_s}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, signed, "sha256")).decode() for key in keys]
    return {
        "webhook-id": identifier,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
