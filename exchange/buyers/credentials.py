"""How a buyer knows us: what an endpoint's `auth` adds to every request, and what to each by itself."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode
from uuid import UUID

from exchange.rules.signing import signature_headers
from exchange.values.auth import Auth, AuthKind, Digits, HmacTerms, Signed


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs requests (HMAC, SHA-256, RFC 2104)."""

    header: str
    secret: bytes
    terms: HmacTerms

    def headers(self, method: str, path: str, body: bytes, now_s: float) -> dict[str, str]:
        """The signature's headers; `path` is what the request line says, `now_s` a Unix time."""
        terms, timestamp = self.terms, str(int(now_s))
        parts = {
            Signed.METHOD: method.encode(),
            Signed.PATH: path.encode(),
            Signed.TIMESTAMP: timestamp.encode(),
            Signed.BODY: body,
        }
        signed = terms.separator.encode().join(parts[part] for part in terms.over)
        digest = hmac.new(self.secret, signed, hashlib.sha256).digest()
        text = digest.hex() if terms.digits is Digits.HEX else base64.b64encode(digest).decode()
        stamp = {terms.timestamp_header: timestamp} if terms.timestamp_header else {}
        return {self.header: terms.prefix + text} | stamp


def auth_headers(auth: Auth, secret: str) -> dict[str, str]:
    """The headers of an endpoint's auth that are the same for all requests; `secret` is the resolved one."""
    match auth.kind:
        case AuthKind.NONE | AuthKind.QUERY | AuthKind.HMAC | AuthKind.OAUTH2:
            return {}
        case AuthKind.BEARER:
            return {"Authorization": f"Bearer {secret}"}
        case AuthKind.BASIC:
            return {"Authorization": "Basic " + base64.b64encode(f"{auth.name}:{secret}".encode()).decode()}
        case AuthKind.HEADER:
            return {auth.name: secret}


def auth_query(auth: Auth, secret: str) -> str:
    """What an endpoint's auth adds to every URL."""
    return urlencode({auth.name: secret}, quote_via=quote) if auth.kind is AuthKind.QUERY else ""


def signer_of(auth: Auth, secret: str) -> Signer | None:
    """What signs each request, where that is agreed."""
    return Signer(auth.name, secret.encode(), auth.hmac or HmacTerms()) if auth.kind is AuthKind.HMAC else None


def signed(identifier: UUID, body: bytes, keys: Sequence[bytes], now_s: float) -> dict[str, str]:
    """The headers that sign a request at a Unix time; none without keys."""
    return signature_headers(str(identifier), int(now_s), body, keys) if keys else {}
