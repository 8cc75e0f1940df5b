"""How each endpoint is spoken to: its dialect, and what it knows us by, made once from market and environment."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from exchange.buyers.credentials import Signer, auth_headers, auth_query, signed, signer_of
from exchange.buyers.delivery import Courier
from exchange.buyers.dialects.json_writing import Runs
from exchange.buyers.dialects.mapped import Mapped
from exchange.buyers.dialects.native import NATIVE
from exchange.buyers.dialects.wire import NO_HEADERS, Dialect, Ping, Post, Request, Unsendable, with_query
from exchange.buyers.tokens import Access, Login, Tokens
from exchange.marketfile.secrets import is_ready, resolve, signing_keys
from exchange.values.bid import Delivery, NotSent
from exchange.values.market import Endpoint

WIRES_MAX = 200_000
NO_TOKEN = "no access token"  # noqa: S105  # says that there is none
TOKEN_WAIT_S = 2.0
"""How long a post may wait for a token before nothing is sent, of its own time: as long as for a connection."""

STATUS_TIMEOUT_MS = 10_000
"""How long a buyer has to say what became of a post."""

UNAUTHORIZED = 401

Heard = TypeVar("Heard")


class Written(NamedTuple):
    """One request as it is called: everything of it but what the network adds."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Wire:
    """One endpoint's dialect and credentials: headers and query that every request has, and what signs each."""

    dialect: Dialect
    headers: Mapping[str, str] = field(repr=False)
    query: str = field(repr=False)
    signer: Signer | None = field(repr=False)
    signing_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """With what each post is signed besides, by Standard Webhooks."""
    access: Access | None = field(default=None, repr=False)
    """What has the token that each request carries, where that is agreed."""

    def url(self, url: str, request: Request | None = None) -> str:
        """A URL of the endpoint as it is called."""
        return with_query(with_query(url, request.query if request else ""), self.query)

    def own_headers(self, method: str, url: str, body: bytes, now_s: float) -> Mapping[str, str]:
        """The headers that this request has and others have not: a signature, or the token of the moment.

        `url` is the one that is called. Raises Unsendable where there is no token.
        """
        if self.access is not None:
            token = self.access.now()
            if token is None:
                raise Unsendable(NO_TOKEN)
            return {"Authorization": f"Bearer {token}"}
        if self.signer is None:
            return NO_HEADERS
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return self.signer.headers(method, path, body, now_s)

    def headers_of(self, method: str, url: str, body: bytes, now_s: float) -> dict[str, str]:
        """All headers by which the buyer knows us in a request. Raises Unsendable."""
        return {**self.headers, **self.own_headers(method, url, body, now_s)}

    async def ready(self, within_s: float) -> bool:
        """Whether there is what a request needs to say who we are, at the latest after so many seconds."""
        return self.access is None or await self.access.ready(within_s)

    def heeding(self, read: Callable[[int, bytes], Heard]) -> Callable[[int, bytes], Heard]:
        """What reads an answer, and minds where it says that it does not know us by the token that was sent."""
        access = self.access
        token = None if access is None else access.now()
        if access is None or token is None:
            return read

        def heed(status: int, body: bytes) -> Heard:
            if status == UNAUTHORIZED:
                access.refused(token)
            return read(status, body)

        return heed

    def written_ping(self, endpoint: Endpoint, ping: Ping, now_s: float) -> Written:
        """A ping, written; how long the buyer has is told by who sends it. Raises Unsendable."""
        return self._written(
            self.dialect.ping_method,
            endpoint.ping_url or "",
            self.dialect.standing_headers(ping.order),
            self.dialect.ping(ping),
            now_s,
        )

    def written_post(self, endpoint: Endpoint, post: Post, now_s: float) -> Written:
        """A post, written and signed. Raises Unsendable."""
        request = self.dialect.post(post)
        written = self._written(self.dialect.post_method, endpoint.post_url or "", NO_HEADERS, request, now_s)
        return written._replace(
            headers={**written.headers, **signed(post.attempt_id, request.body, self.signing_keys, now_s)}
        )

    def written_status(self, endpoint: Endpoint, post: Post, now_s: float) -> Written:
        """The question what became of a post, written. Raises Unsendable."""
        request = self.dialect.status(post)
        return self._written(self.dialect.status_method, endpoint.status_url or "", NO_HEADERS, request, now_s)

    def _written(self, method: str, url: str, standing: Mapping[str, str], request: Request, now_s: float) -> Written:
        called = self.url(url, request)
        headers = {**standing, **request.headers, **self.headers_of(method, called, request.body, now_s)}
        return Written(method, called, headers, request.body)


class Wires:
    """The wires of all endpoints, as they are needed."""

    def __init__(self, environment: Mapping[str, str], tokens: Tokens | None = None) -> None:
        """Without `tokens` nothing is fetched, and no request has one: to look at what would be sent."""
        self._environment = environment
        self._tokens = tokens
        self._runs = Runs()
        self._known: dict[tuple[str, str], tuple[Endpoint, Wire | None]] = {}

    def of(self, buyer: str, endpoint: Endpoint) -> Wire | None:
        """The wire of a buyer's endpoint; None while this process lacks a secret for it."""
        key = buyer, endpoint.name
        known = self._known.get(key)
        if known is None or (known[0] is not endpoint and known[0] != endpoint):
            if len(self._known) >= WIRES_MAX:
                del self._known[next(iter(self._known))]
            known = self._known[key] = (endpoint, _wire(endpoint, self._environment, self._runs, self._tokens))
        return known[1]


def secrets_of(endpoint: Endpoint, environment: Mapping[str, str]) -> Mapping[str, str] | None:
    """The value of every secret of an endpoint, by its template; None where one cannot be had.

    Those that say who we are stand in headers and URLs, which carry ASCII only.
    """
    auth = resolve(endpoint.auth.secret, environment)
    if auth is None or not auth.isascii() or signing_keys(endpoint.signing, environment) is None:
        return None
    found = {endpoint.auth.secret: auth}
    for template in endpoint.mapping.secrets() if endpoint.mapping else ():
        secret = resolve(template, environment)
        if secret is None:
            return None
        found[template] = secret
    return found if endpoint.means is None or is_ready(endpoint.means, environment) else None


def _wire(endpoint: Endpoint, environment: Mapping[str, str], runs: Runs, tokens: Tokens | None) -> Wire | None:
    secrets = secrets_of(endpoint, environment)
    keys = signing_keys(endpoint.signing, environment)
    if secrets is None or keys is None:
        return None
    auth, secret = endpoint.auth, secrets[endpoint.auth.secret]
    dialect: Dialect = NATIVE if endpoint.mapping is None else Mapped(endpoint.mapping, secrets, runs)
    access = None
    if tokens is not None and auth.oauth2 is not None:
        access = tokens.of(Login(auth.name, secret, auth.oauth2))
    return Wire(dialect, auth_headers(auth, secret), auth_query(auth, secret), signer_of(auth, secret), keys, access)


async def deliver(
    courier: Courier, wire: Wire | None, endpoint: Endpoint, post: Post, send_by_s: float = math.inf
) -> Delivery:
    """Delivers a lead once, in the words of its wire. Nothing is sent that it cannot say."""
    if wire is None:
        return NotSent("the endpoint's secret is not set")
    started_s = time.monotonic()
    if not await wire.ready(min(TOKEN_WAIT_S, endpoint.post_timeout_ms / 1000, send_by_s - started_s)):
        return NotSent(NO_TOKEN)
    timeout_ms = endpoint.post_timeout_ms - int((time.monotonic() - started_s) * 1000)
    try:
        written = wire.written_post(endpoint, post, time.time())
    except Unsendable as error:
        return NotSent(f"cannot be sent: {error}")
    except Exception as error:  # noqa: BLE001  # a dialect that breaks has sent nothing
        return NotSent(f"internal: {type(error).__name__}")
    body = None if written.method == "GET" else written.body
    return await courier.deliver(
        written.url,
        written.headers,
        body,
        timeout_ms,
        wire.heeding(partial(wire.dialect.read_delivery, gross_micros=post.gross_micros)),
        send_by_s,
        written.method,
        endpoint.keep_alive_s,
    )
