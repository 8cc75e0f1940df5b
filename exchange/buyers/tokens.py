"""Access tokens for buyers who want them: OAuth 2 with client credentials (RFC 6749, section 4.4), fetched ahead.

A ping never waits for a token: who has none now is not asked. Each process has its own tokens, in memory alone.
"""

import asyncio
import base64
import random
import re
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

import orjson
import structlog

from exchange.buyers.delivery import Courier
from exchange.observe import metrics
from exchange.values.auth import OAuthTerms
from exchange.values.bid import Delivery, Unknown

TIMEOUT_MS = 10_000
TOKEN_CHARS_MAX = 8_192
LIFE_S_USUAL = 300.0
"""How long a token is taken to be good that does not say so."""

LIFE_S_MAX = 86_400.0
LOGINS_MAX = 10_000
UNUSED_S = 86_400.0
"""A token that nobody has asked for so long is no longer renewed."""

PAUSE_S = 1.0
PAUSE_S_MAX = 60.0
"""Between tries that fail: each pause is twice the one before."""

REFUSED_EVERY_S = 30.0
"""A token that is younger is not renewed because a buyer refuses it: another would fare no better."""

_TOKEN = re.compile(r"[\x21-\x7e]+", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", re.ASCII)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Login:
    """By what a buyer's token is had; endpoints with the same login share it."""

    client_id: str
    secret: str = field(repr=False)
    terms: OAuthTerms


class Token(NamedTuple):
    """A token, with how many seconds it lives."""

    text: str
    life_s: float


def request_of(login: Login) -> tuple[dict[str, str], bytes]:
    """The headers and the form that ask for a token (RFC 6749, sections 2.3.1 and 4.4.2)."""
    terms = login.terms
    form = (
        {"grant_type": "client_credentials"} | ({"scope": terms.scope} if terms.scope else {}) | dict(terms.parameters)
    )
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if terms.in_body:
        form |= {"client_id": login.client_id, "client_secret": login.secret}
    else:
        pair = f"{quote_plus(login.client_id)}:{quote_plus(login.secret)}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return headers, urlencode(form).encode()


def read_token(status: int, body: bytes) -> Token | str:
    """The token in an answer (RFC 6749, section 5.1), or what is wrong, which repeats nothing of it."""
    if status != 200:
        return f"HTTP {status}"
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "not JSON"
    text = document.get("access_token") if isinstance(document, dict) else None
    if not isinstance(text, str) or len(text) > TOKEN_CHARS_MAX or not _TOKEN.fullmatch(text):
        return "no access_token that a header can carry"
    if str(document.get("token_type", "")).lower() != "bearer":
        return "another token_type than bearer"
    said = document.get("expires_in")
    if said is None:
        return Token(text, LIFE_S_USUAL)
    if isinstance(said, bool) or not _SECONDS.fullmatch(str(said)) or float(said) <= 0:
        return "an expires_in that is no number of seconds"
    return Token(text, min(float(said), LIFE_S_MAX))


class Tokens:
    """The tokens of one process."""

    def __init__(self, courier: Courier) -> None:
        """`courier` fetches them: by the same rules for addresses, certificates and sizes as for buyers."""
        self._courier = courier
        self._known: dict[Login, Access] = {}

    def of(self, login: Login) -> "Access":
        """The access that a login gives; its token is fetched from now on."""
        found = self._known.get(login)
        if found is None:
            if len(self._known) >= LOGINS_MAX:
                metrics.LIMITS_HIT.add(("logins",))
                self._known.pop(next(iter(self._known))).stop()
            found = self._known[login] = Access(login, self._courier)
        found.now()
        return found

    async def close(self) -> None:
        """Stops renewing."""
        tasks = [task for access in self._known.values() if (task := access.stop()) is not None]
        await asyncio.gather(*tasks, return_exceptions=True)


class Access:
    """One login's token, renewed ahead of its end by one task, as long as it is used."""

    def __init__(self, login: Login, courier: Courier) -> None:
        self._login = login
        self._courier = courier
        self._address = urlsplit(login.terms.token_url).netloc
        self._text: str | None = None
        self._fetched_s = self._until_s = self._renew_s = -1.0
        self._used_s = 0.0
        self._failed = 0
        self._refused = False
        self._arrived, self._wanted = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def now(self) -> str | None:
        """The token, if there is one that is good."""
        now_s = self._used_s = time.monotonic()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._keep())
        return self._text if now_s < self._until_s else None

    async def ready(self, within_s: float) -> bool:
        """Whether there is a token, at the latest after so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                while self.now() is None:
                    self._arrived.clear()
                    self._wanted.set()
                    await self._arrived.wait()
        except TimeoutError:
            return False
        return True

    def refused(self, text: str) -> None:
        """A buyer does not take this token: another one is fetched for the next calls."""
        if text == self._text and not self._refused and time.monotonic() - self._fetched_s >= REFUSED_EVERY_S:
            self._refused = True
            metrics.TOKENS.add((self._address, "refused"))
            self._wanted.set()

    def stop(self) -> "asyncio.Task[None] | None":
        """Stops renewing; the task is to be waited for."""
        if self._task is not None:
            self._task.cancel()
        return self._task

    async def _keep(self) -> None:
        while time.monotonic() - self._used_s < UNUSED_S:
            if self._refused or time.monotonic() >= self._renew_s:
                await self._fetch()
            await self._rest()

    async def _rest(self) -> None:
        """Waits until the token is to be renewed, or somebody wants one."""
        if self._failed:
            await asyncio.sleep(PAUSE_S)  # however many want one
        try:
            async with asyncio.timeout(max(0.0, self._renew_s - time.monotonic())):
                await self._wanted.wait()
                if self._failed:
                    self._renew_s = 0.0
        except TimeoutError:
            return
        finally:
            self._wanted.clear()

    async def _fetch(self) -> None:
        headers, body = request_of(self._login)
        came: list[Token | str] = []

        def read(status: int, answer: bytes) -> Delivery:
            came.append(read_token(status, answer))
            return Unknown()

        said = await self._courier.deliver(self._login.terms.token_url, headers, body, TIMEOUT_MS, read)
        found = came[0] if came else getattr(said, "detail", "")
        self._refused = False
        now_s = time.monotonic()
        if isinstance(found, Token):
            metrics.TOKENS.add((self._address, "fetched"))
            self._text, self._failed, self._fetched_s = found.text, 0, now_s
            self._until_s = now_s + found.life_s - min(10.0, found.life_s / 10)
            self._renew_s = now_s + found.life_s * random.uniform(0.7, 0.85)  # noqa: S311  # gateways take turns
            self._arrived.set()
            return
        metrics.TOKENS.add((self._address, "failed"))
        log.warning("token_not_fetched", address=self._address, detail=found)
        self._failed += 1
        pause_s = min(PAUSE_S * 2 ** min(self._failed, 10), PAUSE_S_MAX)
        self._renew_s = now_s + pause_s * random.uniform(0.5, 1.0)  # noqa: S311
