"""How a buyer knows us, in a market file."""

from typing import Annotated, Self

from pydantic import model_validator

from exchange.marketfile.outside import Bearer, HeaderName, HeaderValue, Password, QueryName, Url, User
from exchange.marketfile.problems import wrong
from exchange.marketfile.scalars import Text, choice, refuse
from exchange.marketfile.shapes.base import Given, Shape
from exchange.marketfile.wording import Constant, Translation, WordList
from exchange.values.auth import Digits, Signed

_OAUTH_OWN = frozenset({"grant_type", "client_id", "client_secret", "scope"})


class BasicShape(Shape):
    """A user and a password (RFC 7617)."""

    user: User
    password: Password


class HeaderShape(Shape):
    """A header that carries a secret."""

    name: HeaderName
    value: HeaderValue


class QueryShape(Shape):
    """A part of every URL's query that carries a secret."""

    name: QueryName
    value: Password


class HmacShape(Shape):
    """A header that carries a signature made with a secret (HMAC, SHA-256)."""

    header: HeaderName
    secret: Password
    over: WordList = (Signed.BODY,)
    separator: Constant = ""
    digits: Annotated[str, choice(*Digits)] = Digits.HEX
    prefix: Constant = ""
    timestamp_header: Given[HeaderName] = None

    @model_validator(mode="after")
    def _over_known_parts(self) -> Self:
        unknown = [part for part in self.over if part not in set(Signed)]
        if unknown or len(set(self.over)) < len(self.over):
            raise refuse(f"over must be some of {', '.join(Signed)}, each once")
        if Signed.TIMESTAMP in self.over and self.timestamp_header is None:
            raise refuse("timestamp_header is missing: nobody can check a signature over a time that he is not told")
        return self


class OAuth2Shape(Shape):
    """Access tokens, fetched with a client's secret (OAuth 2, client credentials)."""

    token_url: Url
    client_id: Text
    secret: Password
    scope: Given[Text] = None
    parameters: Given[Translation] = None
    client_auth: Annotated[str, choice("basic", "body")] = "basic"

    @model_validator(mode="after")
    def _says_nothing_twice(self) -> Self:
        own = next((name for name, _ in self.parameters or () if name in _OAUTH_OWN), None)
        if own is not None:
            raise refuse(f"parameters: {own} has a key of its own, or is written by the exchange")
        return self


class AuthShape(Shape):
    """How a buyer knows us: one of these."""

    bearer: Given[Bearer] = None
    basic: Given[BasicShape] = None
    header: Given[HeaderShape] = None
    query: Given[QueryShape] = None
    hmac: Given[HmacShape] = None
    oauth2: Given[OAuth2Shape] = None

    @model_validator(mode="after")
    def _one_of_all(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise refuse("must be none or say one of bearer, basic, header, query, hmac and oauth2")
        return self


def read_auth(value: object) -> object:
    """`none` in a word; every other way is a mapping."""
    if value == "none":
        return None
    if not isinstance(value, dict):
        raise refuse(wrong('none or a mapping such as {bearer: "${env:NAME}"}', value))
    return value
