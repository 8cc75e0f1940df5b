"""Requests of the outbox: signed ones to webhooks, and those of a receiver's own kind.

They have the guard of all deliveries: no redirect is followed, no connection re-used.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import assert_never
from uuid import UUID

from exchange.buyers.credentials import signed
from exchange.buyers.delivery import Courier
from exchange.buyers.dialects.wire import Post, Unsendable
from exchange.carriers.outcome import NO_SECRET, Failed, Outcome, Sent
from exchange.outbox.outcome import Fate, Skipped
from exchange.storage.outbox import Item
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.deliveries import Call, LeadWebhook
from exchange.values.mapping import EndpointMapping
from exchange.values.market import Endpoint
from exchange.values.reason import Reason
from exchange.wires import NO_TOKEN, Wires

TIMEOUT_MS = 15_000
TOKEN_WAIT_S = 10.0
"""How long a try waits for an access token: as long as fetching one may take."""

THERE_BEFORE = "it had arrived before"


async def call(courier: Courier, url: str, identifier: UUID, body: bytes, keys: Sequence[bytes]) -> Outcome:
    """Posts a body, signed for this try; any 2xx means that it has arrived."""
    headers = {"Content-Type": "application/json", **signed(identifier, body, keys, time.time())}
    return _outcome(await courier.deliver(url, headers, body, TIMEOUT_MS, _read))


async def tell(
    courier: Courier, wires: Wires, webhook: LeadWebhook, item: Item, body: bytes, keys: Sequence[bytes]
) -> Outcome:
    """As `call`, for a receiver who may know us by more than the signature."""
    endpoint = Endpoint(item.target, "native", None, webhook.url, 0, TIMEOUT_MS, auth=webhook.auth)
    wire = wires.of(item.target, endpoint)
    if wire is None:
        return NO_SECRET
    if not await wire.ready(TOKEN_WAIT_S):
        return Failed(NO_TOKEN)
    url, now_s = wire.url(webhook.url), time.time()
    try:
        known_by = wire.headers_of("POST", url, body, now_s)
    except Unsendable as error:
        return Failed(str(error))
    headers = {"Content-Type": "application/json", **known_by, **signed(item.outbox_id, body, keys, now_s)}
    return _outcome(await courier.deliver(url, headers, body, TIMEOUT_MS, wire.heeding(_read)))


async def ask(courier: Courier, wires: Wires, name: str, call: Call, post: Post) -> Fate:
    """Makes a request of the receiver's own kind; its rules say what the answer means.

    `name` is what the delivery is known by here. An answer that no rule fits, or an error by its rules, may be sent
    again; a duplicate is one that arrived before.
    """
    if post.test and not call.marks_tests:
        return Skipped("a test, which the request cannot mark")
    mapping = EndpointMapping(None, call.message)
    endpoint = Endpoint(name, "mapped", None, call.url, 0, TIMEOUT_MS, auth=call.auth, mapping=mapping)
    wire = wires.of(name, endpoint)
    if wire is None:
        return NO_SECRET
    if not await wire.ready(TOKEN_WAIT_S):
        return Failed(NO_TOKEN)
    try:
        written = wire.written_post(endpoint, post, time.time())
    except Unsendable as error:
        return Failed(f"cannot be sent: {error}", is_final=True)
    body = None if written.method == "GET" else written.body
    read = wire.heeding(partial(wire.dialect.read_delivery, gross_micros=post.gross_micros))
    found = await courier.deliver(written.url, written.headers, body, TIMEOUT_MS, read, method=written.method)
    match found:
        case Accepted():
            return Sent()
        case Rejected(Reason.DUPLICATE_AT_BUYER):
            return Sent(THERE_BEFORE)
        case Rejected():
            return Failed("refused", is_final=True)
        case NotSent() | Unknown():
            return Failed(found.detail)
    assert_never(found)


def _outcome(found: Delivery) -> Outcome:
    return Sent() if isinstance(found, Accepted) else Failed(getattr(found, "detail", ""))


def _read(status: int, _: bytes) -> Delivery:
    return Accepted() if 200 <= status < 300 else Unknown(f"HTTP {status}")
