"""One ping or post to a buyer outside any auction: nothing is held, sold or recorded, and every byte can be shown."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from exchange.buyers.delivery import LIMITS, Courier, request_bytes
from exchange.buyers.dialects.native import TIMEOUT_HEADER
from exchange.buyers.dialects.wire import Ping, Post, Unsendable
from exchange.buyers.line import read_target
from exchange.rules.book import OrderEntry, compile_book
from exchange.values.bid import Accepted, Bid, Delivery, NotSent, Refusal, Rejected, Reply, Unknown
from exchange.values.ids import uuid7
from exchange.values.market import Market, Sale
from exchange.values.reason import Reason
from exchange.values.vertical import Lead, Vertical
from exchange.wires import STATUS_TIMEOUT_MS, Wire, Written

CONNECT_MS = int((LIMITS.connect_s + LIMITS.handshake_s) * 1000)
"""What a ping of a trial may take longer than one in an auction, which finds connections that are open."""

PING, POST, STATUS = "ping", "post", "status"


class Heard(NamedTuple):
    """One exchange with a buyer: what was sent, what came back (`status` None: nothing), and what it means.

    `kind` is ping, post or status; `elapsed_ms` is from dialling to the answer.
    """

    kind: str
    written: Written
    request: bytes
    status: int | None
    body: bytes
    found: Reply | Delivery
    elapsed_ms: int

    @property
    def is_understood(self) -> bool:
        """Whether the buyer said something clear: a price, a yes, or a no."""
        match found := self.found:
            case Bid() | Accepted() | Rejected():
                return True
            case Refusal():
                return found.reason is Reason.NO_BID
            case NotSent():
                return self.kind == STATUS and self.status is not None
            case Unknown():
                return False


@dataclass(frozen=True, slots=True)
class Stage:
    """An order of a market with all that a ping or a post for it says besides the lead."""

    entry: OrderEntry
    vertical: Vertical
    campaign: str
    currency: str
    floor_micros: int
    test: bool

    @property
    def fixed_micros(self) -> int | None:
        """The price of an order that is not asked for bids."""
        return self.entry.order.price_micros


def stage_of(market: Market, order: str, *, test: bool) -> Stage | None:
    """The stage of an order; None where the market has none of that key."""
    found = market.orders.get(order)
    if found is None:
        return None
    book = compile_book(replace(market, orders={order: found}), 0, {}).campaigns[found.campaign]
    floor_micros = book.campaign.floor_micros
    return Stage(book.by_key[order], book.vertical, found.campaign, market.currency, floor_micros, test)


def ping_of(stage: Stage, sale: Sale, lead: Lead) -> Ping:
    """A ping with the fields that the order may see; `lead` has those that a ping may carry."""
    return Ping(
        ping_id=uuid7(),
        order=stage.entry.key,
        campaign=stage.campaign,
        vertical=stage.vertical.key,
        test=stage.test,
        currency=stage.currency,
        floor_micros=stage.floor_micros,
        sale=sale,
        lead={name: lead[name] for name in stage.entry.visible if name in lead},
    )


def post_of(ping: Ping, bid: Bid, lead: Lead) -> Post:
    """The post of a bid, or of a fixed price that stands for one."""
    return Post(
        attempt_id=uuid7(),
        ping_id=ping.ping_id,
        bid_id=bid.bid_id,
        order=ping.order,
        campaign=ping.campaign,
        test=ping.test,
        gross_micros=bid.gross_micros,
        currency=ping.currency,
        sale=bid.sale,
        lead=lead,
    )


async def ask(courier: Courier, wire: Wire, stage: Stage, ping: Ping) -> Heard:
    """Sends a ping, once. Raises Unsendable."""
    endpoint = stage.entry.endpoint
    written = wire.written_ping(endpoint, ping, time.time())
    headers = {**written.headers, TIMEOUT_HEADER: str(endpoint.ping_timeout_ms)}
    read = wire.dialect.bid_reader(sale=ping.sale, currency=ping.currency)
    written = written._replace(headers=headers)
    return await _sent(courier, PING, written, endpoint.ping_timeout_ms + CONNECT_MS, read)


async def deliver(courier: Courier, wire: Wire, stage: Stage, post: Post) -> Heard:
    """Sends a post, once. Raises Unsendable."""
    endpoint = stage.entry.endpoint
    written = wire.written_post(endpoint, post, time.time())
    read = partial(wire.dialect.read_delivery, gross_micros=post.gross_micros)
    return await _sent(courier, POST, written, endpoint.post_timeout_ms, read)


async def inquire(courier: Courier, wire: Wire, stage: Stage, post: Post) -> Heard:
    """Asks what became of a post. Raises Unsendable."""
    written = wire.written_status(stage.entry.endpoint, post._replace(lead={}), time.time())
    read = partial(wire.dialect.read_status, gross_micros=post.gross_micros)
    return await _sent(courier, STATUS, written, STATUS_TIMEOUT_MS, read)


async def _sent(
    courier: Courier,
    kind: str,
    written: Written,
    timeout_ms: int,
    read: Callable[[int, bytes], Reply | Delivery],
) -> Heard:
    came: list[tuple[int, bytes]] = []

    def keep(status: int, body: bytes) -> Delivery:
        came.append((status, body))
        return Unknown()

    body = written.body if kind == PING or written.method != "GET" else None
    request = _bytes(written, body)
    started_s = time.monotonic()
    delivery = await courier.deliver(written.url, written.headers, body, timeout_ms, keep, method=written.method)
    elapsed_ms = int((time.monotonic() - started_s) * 1000)
    if not came:
        return Heard(kind, written, request, None, b"", delivery, elapsed_ms)
    [(status, content)] = came
    return Heard(kind, written, request, status, content, read(status, content), elapsed_ms)


def _bytes(written: Written, body: bytes | None) -> bytes:
    """The request as the courier sends it. Raises Unsendable for what no request can carry."""
    try:
        return request_bytes(read_target(written.url), written.headers, body, written.method)
    except ValueError:
        raise Unsendable("an address or header that cannot be sent") from None
