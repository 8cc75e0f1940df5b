"""How a receiver knows us, as configured: by a secret in a header or a query, or by a signature made with one."""

from dataclasses import dataclass
from enum import StrEnum


class AuthKind(StrEnum):
    NONE = "none"
    BEARER = "bearer"
    BASIC = "basic"
    HEADER = "header"
    QUERY = "query"
    HMAC = "hmac"
    OAUTH2 = "oauth2"


class Signed(StrEnum):
    """What of a request an HMAC may be over. `PATH` is what follows the host, the query included."""

    METHOD = "method"
    PATH = "path"
    TIMESTAMP = "timestamp"
    BODY = "body"


class Digits(StrEnum):
    """How an HMAC is written down."""

    HEX = "hex"
    BASE64 = "base64"


@dataclass(frozen=True, slots=True)
class HmacTerms:
    """What a signature (HMAC, SHA-256) is over, joined by `separator`, and how it and its time are written.

    The time is in whole seconds since 1970.
    """

    over: tuple[Signed, ...] = (Signed.BODY,)
    separator: str = ""
    digits: Digits = Digits.HEX
    prefix: str = ""
    timestamp_header: str | None = None


@dataclass(frozen=True, slots=True)
class OAuthTerms:
    """Where and how access tokens are asked for (OAuth 2, client credentials).

    `parameters` are sent besides; with `in_body` client and secret stand among them, else in a header.
    """

    token_url: str
    scope: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    in_body: bool = False


@dataclass(frozen=True, slots=True)
class Auth:
    """How a buyer knows us. `secret` is as written in the market file: a `${env:NAME}` reference or a literal.

    `name` is the user name of `BASIC`, and the name of the header or of the part of a query that carries the secret
    or the signature, and the client's of `OAUTH2`. `hmac` is there for `HMAC`, `oauth2` for `OAUTH2`.
    """

    kind: AuthKind = AuthKind.NONE
    name: str = ""
    secret: str = ""
    hmac: HmacTerms | None = None
    oauth2: OAuthTerms | None = None
