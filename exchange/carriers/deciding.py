"""The delivery that decides a sale, by other means than a buyer's wire: one try, and what is known of it afterwards."""

import asyncio
import math
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import assert_never

from exchange.buyers.credentials import signed
from exchange.buyers.delivery import Courier
from exchange.buyers.dialects.wire import Post
from exchange.carriers import documents, mail
from exchange.carriers.departure import Departure
from exchange.carriers.documents import Parcel
from exchange.carriers.file import login_of
from exchange.carriers.files import FileServers, file_of
from exchange.carriers.mail import Relay
from exchange.carriers.outcome import NO_SECRET, Arrival, Failed, Outcome, Sent
from exchange.marketfile.secrets import signing_keys
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.deliveries import FileFormat, Files, LeadWebhook, Mail, Means
from exchange.values.reason import Reason
from exchange.values.vertical import Vertical

NO_RELAY = Failed("EXCHANGE_SMTP_URL is not set", arrival=Arrival.NOT_SENT)

_NOT_CLEAR = frozenset({408, 409, 425, 429})
"""Of the statuses that blame the request, those after which it may come again, or may have come before."""


class Carriers:
    """Carries attempts. It never re-sends."""

    def __init__(
        self,
        courier: Courier,
        environment: Mapping[str, str],
        relay: Relay | None,
        tls: ssl.SSLContext,
        *,
        allow_private: bool,
    ) -> None:
        """`tls` says whom to trust, but for webhooks, whose courier knows."""
        self._courier = courier
        self._environment = environment
        self._relay = relay
        self._tls = tls
        self._servers = FileServers(tls, allow_private=allow_private)

    def close(self) -> None:
        self._servers.close()

    async def deliver(
        self, means: Means, post: Post, vertical: Vertical, timeout_ms: int, send_by_s: float = math.inf
    ) -> Delivery:
        """Hands a lead over once, and says what is known after at most `timeout_ms`.

        Nothing of it is sent after `send_by_s`, a moment of `time.monotonic()`.
        """
        parcel = Parcel(post, datetime.now(UTC))
        if isinstance(means, LeadWebhook):
            return await self._call(means, parcel, timeout_ms, send_by_s)
        leaving = Departure(send_by_s)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return _known(await self._hand_over(means, parcel, vertical, leaving))
        except TimeoutError:
            return Unknown("silence") if leaving.close() else NotSent("no answer in time")
        except Exception as error:  # noqa: BLE001  # whatever broke, what is known of the lead is an outcome
            detail = f"internal: {type(error).__name__}"
            return Unknown(detail) if leaving.close() else NotSent(detail)
        finally:
            leaving.close()

    async def _call(self, webhook: LeadWebhook, parcel: Parcel, timeout_ms: int, send_by_s: float) -> Delivery:
        keys = signing_keys(webhook.secrets, self._environment)
        if keys is None:
            return NotSent(NO_SECRET.detail)
        body = documents.lead_event(parcel)
        headers = {"Content-Type": "application/json", **signed(parcel.post.attempt_id, body, keys, time.time())}
        return await self._courier.deliver(webhook.url, headers, body, timeout_ms, _read, send_by_s)

    async def _hand_over(self, means: Mail | Files, parcel: Parcel, vertical: Vertical, leaving: Departure) -> Outcome:
        match means:
            case Mail():
                return await self._mail(means, parcel, leaving)
            case Files():
                return await self._put(means, parcel, vertical, leaving)
        assert_never(means)

    async def _mail(self, means: Mail, parcel: Parcel, leaving: Departure) -> Outcome:
        if self._relay is None:
            return NO_RELAY
        post, values = parcel.post, documents.template_values(parcel)
        identifier, sender = post.attempt_id, self._relay.sender
        message = mail.compose(identifier, parcel.sold_at, sender, means, values, test=post.test)
        return await mail.send(self._relay, message, means.to, self._tls, leaving, all_or_none=True)

    async def _put(self, way: Files, parcel: Parcel, vertical: Vertical, leaving: Departure) -> Outcome:
        login = login_of(way, self._environment)
        if login is None:
            return NO_SECRET
        field = documents.formula_in(parcel.post.lead, vertical) if way.format is FileFormat.CSV else None
        if field is not None:
            return Failed(f"a spreadsheet would take the field {field} for a formula", arrival=Arrival.NOT_SENT)
        columns, name = tuple(vertical.fields), parcel.post.attempt_id
        file = file_of(way, name, [parcel], columns, as_list=False, again=False)
        return await self._servers.put(way, login, file, leaving)


def _known(outcome: Outcome) -> Delivery:
    """What handing over makes of an attempt."""
    if isinstance(outcome, Sent):
        return Accepted()
    match outcome.arrival:
        case Arrival.NOT_SENT:
            return NotSent(outcome.detail)
        case Arrival.REFUSED:
            return Rejected(Reason.REJECTED_BY_BUYER, outcome.detail)
        case Arrival.UNKNOWN:
            return Unknown(outcome.detail)
    assert_never(outcome.arrival)


def _read(status: int, _: bytes) -> Delivery:
    """What a webhook's answer says: there is only its status."""
    if 200 <= status < 300:
        return Accepted()
    if 400 <= status < 500 and status not in _NOT_CLEAR:
        return Rejected(Reason.REJECTED_BY_BUYER, f"HTTP {status}")
    return Unknown(f"HTTP {status}")
