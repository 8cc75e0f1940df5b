"""A simulated seller: pings and posts by the contract over HTTP, and reports what he was told. Nothing raises."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from exchange.simulation.answers import Answer, read_ping_answer, read_post_answer
from exchange.simulation.leads import FieldValue
from exchange.simulation.tally import Fault, PingTold, PostTold, Told, TurnedAway
from exchange.values.money import format_amount

PING_PATH, POST_PATH = "/v1/ping", "/v1/post"
TIMEOUT_S = 15.0  # longer than any campaign gives itself
KEEP_ALIVE_S = 2.0  # shorter than the gateway keeps an idle connection: no call meets a closing one
TRY_AGAIN = frozenset({"rate_limited", "overloaded", "unavailable"})


@dataclass(frozen=True, slots=True)
class Account:
    """A seller of the market: his name, his API key, and the campaigns that are open to him."""

    seller: str
    key: str
    campaigns: tuple[str, ...]


def open_client(base_url: str, *, connections_max: int = 256) -> httpx.AsyncClient:
    """A client for any number of sellers. Whoever opens it closes it."""
    limits = httpx.Limits(
        max_connections=connections_max, max_keepalive_connections=connections_max, keepalive_expiry=KEEP_ALIVE_S
    )
    return httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT_S, limits=limits, trust_env=False)


class SellerClient:
    """One seller's calls, over a client that may be shared. Its `base_url` is the gateway's."""

    def __init__(self, http: httpx.AsyncClient, account: Account) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {account.key}", "Content-Type": "application/json"}
        self.account = account

    async def ping(
        self,
        campaign: str,
        lead: Mapping[str, FieldValue],
        *,
        source: str | None = None,
        min_price_micros: int | None = None,
    ) -> PingTold | TurnedAway | Fault:
        """Offers a lead without contact data."""
        body: dict[str, Any] = {"campaign": campaign, "lead": dict(lead)}
        if source is not None:
            body["source"] = source
        if min_price_micros is not None:
            body["min_price"] = format_amount(min_price_micros)
        answer = await self._send(PING_PATH, body)
        if isinstance(answer, Fault):
            return answer
        return read_ping_answer(answer, campaign, min_price_micros)

    async def post(
        self, ping_id: str, lead: Mapping[str, FieldValue], *, idempotency_key: str | None = None
    ) -> PostTold | TurnedAway | Fault:
        """Sends the person behind an offer."""
        answer = await self._post(ping_id, lead, idempotency_key)
        return answer if isinstance(answer, Fault) else read_post_answer(answer)

    async def post_twice(
        self, ping_id: str, lead: Mapping[str, FieldValue], *, idempotency_key: str, at_once: bool = False
    ) -> list[Told]:
        """Sends the same post again, as after a lost answer, or both at once.

        The replay must be the first answer, byte for byte; while the sale still runs it may be 409 `in_progress`.
        """
        calls = [self._post(ping_id, lead, idempotency_key) for _ in range(2)]
        answers = await asyncio.gather(*calls) if at_once else [await call for call in calls]
        told: list[Told] = [answer if isinstance(answer, Fault) else read_post_answer(answer) for answer in answers]
        bodies = {answer.body for answer in answers if isinstance(answer, Answer)}
        if all(isinstance(record, PostTold) for record in told) and len(bodies) == 1:
            return told[:1]
        return [*told, *self._repeat_faults(told, ping_id, at_once=at_once)]

    def _repeat_faults(self, told: list[Told], ping_id: str, *, at_once: bool) -> Iterator[Fault]:
        match told:
            case [PostTold(), PostTold()]:
                yield self._fault(POST_PATH, "the repeated post was answered differently", ping_id, answered=True)
            case [PostTold(status="pending"), TurnedAway(code="in_progress")]:
                return  # told before it was recorded, while the exchange could not reach its storage
            case [PostTold(), TurnedAway(code=code)] if not at_once and code not in TRY_AGAIN:
                yield self._fault(POST_PATH, f"the repeated post was turned away: {code}", ping_id, answered=True)

    async def _post(self, ping_id: str, lead: Mapping[str, FieldValue], key: str | None) -> Answer | Fault:
        return await self._send(POST_PATH, {"ping_id": ping_id, "lead": dict(lead)}, ping_id=ping_id, key=key)

    async def _send(
        self, path: str, body: Mapping[str, Any], *, ping_id: str | None = None, key: str | None = None
    ) -> Answer | Fault:
        headers = self._headers if key is None else {**self._headers, "Idempotency-Key": key}
        started_s = time.monotonic()
        try:
            response = await self._http.post(path, content=orjson.dumps(body), headers=headers)
        except httpx.HTTPError as error:
            return self._fault(path, f"no answer: {type(error).__name__}", ping_id, answered=False)
        return Answer(
            seller=self.account.seller,
            path=path,
            http_status=response.status_code,
            media_type=response.headers.get("Content-Type", ""),
            retry_after=response.headers.get("Retry-After"),
            body=response.content,
            elapsed_ms=(time.monotonic() - started_s) * 1000,
            ping_id=ping_id,
        )

    def _fault(self, path: str, what: str, ping_id: str | None, *, answered: bool) -> Fault:
        return Fault(self.account.seller, path, what, answered=answered, ping_id=ping_id)
