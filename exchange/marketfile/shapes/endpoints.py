"""Where and how a buyer is asked and delivered to, in a market file."""

from typing import Annotated, Self

from pydantic import BeforeValidator, model_validator

from exchange.marketfile.limits import (
    PRESUME_DAYS,
)
from exchange.marketfile.outside import (
    Bearer,
    HeaderName,
    HeaderValue,
    Password,
    Url,
    UrlOrNone,
    User,
)
from exchange.marketfile.problems import wrong
from exchange.marketfile.scalars import (
    Dialect,
    Flag,
    choice,
    later,
    refuse,
    whole,
)
from exchange.marketfile.shapes.base import Given, Shape
from exchange.marketfile.shapes.deliveries import SigningShape
from exchange.marketfile.shapes.terms import PingTimeout, PostTimeout
from exchange.values.market import Presumption

_AUTH_LATER = ("query", "hmac", "oauth2")


class BasicShape(Shape):
    """A user and a password (RFC 7617)."""

    user: User
    password: Password


class HeaderShape(Shape):
    """A header that carries a secret."""

    name: HeaderName
    value: HeaderValue


class AuthShape(Shape):
    """How a buyer knows us: one of these."""

    bearer: Given[Bearer] = None
    basic: Given[BasicShape] = None
    header: Given[HeaderShape] = None
    query: Annotated[None, later("auth query")] = None
    hmac: Annotated[None, later("auth hmac")] = None
    oauth2: Annotated[None, later("auth oauth2")] = None

    @model_validator(mode="after")
    def _one_of_all(self) -> Self:
        if sum(part is not None for part in (self.bearer, self.basic, self.header)) != 1:
            raise refuse("must be none or say one of bearer, basic and header")
        return self


def _auth(value: object) -> object:
    """`none` in a word; every other way is a mapping."""
    if value == "none":
        return None
    if value in _AUTH_LATER:
        raise refuse(f"not supported yet: auth {value}")
    if not isinstance(value, dict):
        raise refuse(wrong('none or a mapping such as {bearer: "${env:NAME}"}', value))
    return value


class UnknownShape(Shape):
    """How an attempt that nobody answers counts, and when."""

    presume: Annotated[str, choice(*Presumption)]
    after_days: Annotated[int, whole(*PRESUME_DAYS)]


class EndpointShape(Shape):
    """Where and how a buyer is asked and delivered to."""

    dialect: Dialect = "native"
    ping_url: UrlOrNone = None
    post_url: Url
    status_url: UrlOrNone = None
    ping_timeout_ms: PingTimeout = 500
    post_timeout_ms: PostTimeout = 30_000
    idempotent_post: Flag = False
    unknown: UnknownShape | None = None
    auth: Annotated[AuthShape | None, BeforeValidator(_auth)] = None
    signing: Given[SigningShape] = None
