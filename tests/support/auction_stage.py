"""Where an auction case is played: its market in force at a real gateway, and its buyers on sockets of their own."""

import asyncio
import hashlib
import itertools
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from exchange.marketfile.reader import read
from exchange.storage import accounts, catalogue, keys, pings
from exchange.storage.pings import RecordedPing
from exchange.values.money import format_amount, parse_amount
from support import auction_market
from support.auction_case import Answer, Case, Document, Ping
from support.auction_market import CAMPAIGN, Names
from support.buyer import Buyer, Received, reply
from support.market import CONTACT, LEAD
from support.waiting import until
from support.world import World

_numbers = itertools.count(1)

NO_BID = Answer(status=204)
ACCEPTS = Answer.model_validate({"json": {"status": "accepted"}})


@dataclass
class Stage:
    """A case's market. What goes in and comes out has the keys of the case."""

    world: World
    names: Names
    orders: list[str]
    document: Document
    buyers: dict[str, Buyer] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    bids: dict[str, Answer] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)

    async def change(self, changes: Mapping[str, Any]) -> None:
        """Changes the market, and waits until the gateway has it, with the balances of all buyers."""
        self.document = auction_market.changed(self.document, changes, self.orders)
        probe = f"probe-{next(_numbers)}"
        placed = auction_market.placed(auction_market.with_probe(self.document, probe), self.places)
        document = auction_market.qualified(placed, self.names)
        await catalogue.apply(self.world.database, document, read(document), "case")
        ping = {"campaign": self.names.full(probe), "lead": LEAD}

        async def knows() -> bool:
            answer = await self.world.send("/v1/ping", ping, self.names.full("acme"))
            return bool(answer.json().get("reason", {}).get("name") == "no_eligible_orders")

        await until(knows, bool)

    async def deposit(self, buyer: str, amount: str) -> None:
        await accounts.deposit(
            self.world.database, self.names.full(buyer), self.document["currency"], parse_amount(amount) or 0, "case"
        )

    async def ping(self, ping: Ping) -> httpx.Response:
        """Sends a ping; what buyers were sent before is forgotten."""
        for buyer in self.buyers.values():
            buyer.pings.clear()
            buyer.posts.clear()
        request: Document = {
            "campaign": self.names.full(CAMPAIGN),
            "lead": LEAD | auction_market.placed(ping.lead, self.places),
        }
        request |= ping.model_dump(include={"min_price", "timeout_ms", "source", "test"}, exclude_unset=True)
        if ping.person:
            hashed = {name: hashlib.sha256(value.encode()).hexdigest() for name, value in ping.person.items()}
            request["identity_hashes"] = hashed
        return await self.world.send("/v1/ping", request, self.names.full(ping.seller))

    async def post(self, ping_id: str, lead: Document, seller: str) -> httpx.Response:
        request = {"ping_id": ping_id, "lead": CONTACT | lead}
        return await self.world.send("/v1/post", request, self.names.full(seller))

    async def recorded(self, ping_id: str) -> RecordedPing:
        """The ping as it lies in Postgres, where one without an offer may come a moment after its answer."""
        found = await until(lambda: pings.find(self.world.database, UUID(ping_id)), lambda item: item is not None)
        assert found is not None
        return found

    async def accounts(self) -> tuple[dict[str, str], dict[str, str]]:
        """The balance of every buyer and seller, and what is held of it."""
        rows = await self.world.rows(
            "select owner, held_micros, coalesce(sum(case t.credit_account when a.account_id then t.amount_micros "
            "else -t.amount_micros end), 0)::bigint as balance_micros "
            "from accounts a left join transfers t on a.account_id in (t.debit_account, t.credit_account) "
            "where owner = any ($1) group by a.account_id",
            [self.names.full(name) for section in ("buyers", "sellers") for name in self.document[section]],
        )
        return (
            {self.names.bare(row["owner"]): format_amount(row["balance_micros"]) for row in rows},
            {self.names.bare(row["owner"]): format_amount(row["held_micros"]) for row in rows},
        )

    def asked(self) -> dict[str, list[Received]]:
        """What was sent to each order to ask for a bid since the last ping began."""
        sent = [item for buyer in self.buyers.values() for item in buyer.pings]
        return _by_order([self._bare(item) for item in sent], lambda item: item.headers["exchange-order"])

    def delivered(self) -> dict[str, list[Received]]:
        """What was delivered to each order since the last ping began."""
        sent = [item for buyer in self.buyers.values() for item in buyer.posts]
        return _by_order([self._bare(item) for item in sent], lambda item: str(item.json["order"]))

    def buyer(self) -> Buyer:
        """A buyer who answers what the case says of the order that he is asked as."""
        return Buyer(self._on_ping, self._on_post)

    def _on_ping(self, asked: Received) -> Awaitable[bytes | None]:
        order = self.names.bare(asked.headers["exchange-order"])
        return _say(self.bids.get(order, NO_BID), order)

    def _on_post(self, sent: Received) -> Awaitable[bytes | None]:
        order = self.names.bare(sent.json["order"])
        return _say(self.answers.get(order, ACCEPTS), order)

    def _bare(self, item: Received) -> Received:
        headers = {name: self.names.bare(value) for name, value in item.headers.items()}
        return Received(item.path, headers, self.names.bare_text(item.body))


@asynccontextmanager
async def open_stage(world: World, case: Case) -> AsyncIterator[Stage]:
    """Puts a case's market in force, with its buyers listening and its deposits made."""
    names = Names(next(_numbers))
    document = auction_market.changed(auction_market.usual(), case.market, case.orders)
    stage = Stage(world, names, case.orders, document)
    async with AsyncExitStack() as open_sockets:
        for name in document["buyers"]:
            buyer = stage.buyers[name] = await open_sockets.enter_async_context(stage.buyer())
            stage.places[name] = buyer.url.removeprefix("http://")
        taken = open_sockets.enter_context(closing(socket.socket()))
        taken.bind(("127.0.0.1", 0))  # and nobody listens there
        stage.places["nobody"] = f"127.0.0.1:{taken.getsockname()[1]}"
        stage.places |= _days()
        stage.places["gateway"] = world.client.base_url.netloc.decode()
        for seller in document["sellers"]:
            full = names.full(seller)
            world.keys[full] = await keys.create(world.database, role="seller", seller=full)
        await stage.change({})
        for name, amount in case.deposits.items():
            await stage.deposit(name, amount)
        if case.deposits:
            await stage.change({})
        yield stage


def _days() -> dict[str, str]:
    """The days around this one, in UTC. A case that names all three holds whenever midnight comes."""
    today = datetime.now(UTC).date()
    names = ("yesterday", "today", "tomorrow")
    return {name: str(today + timedelta(days=number - 1)) for number, name in enumerate(names)}


async def _say(answer: Answer, order: str) -> bytes | None:
    """An answer as bytes, when its time has come; None closes the connection."""
    if answer.silent:
        await asyncio.Event().wait()
    await asyncio.sleep(answer.after_ms / 1000)
    if answer.closes:
        return None
    if answer.raw is not None:
        return answer.raw.encode()
    return _with_headers(reply(_body(answer, order), answer.status), answer.headers)


def _body(answer: Answer, order: str) -> bytes:
    if answer.bid is not None:
        text = json.dumps({"bid": answer.bid, "bid_id": order})
    elif answer.body is not None:
        text = answer.body
    else:
        text = "" if answer.document is None else json.dumps(answer.document)
    return text.encode() + b" " * answer.padding


def _with_headers(response: bytes, headers: Mapping[str, str]) -> bytes:
    first, _, rest = response.partition(b"\r\n")
    lines = [f"{name}: {value}".encode() for name, value in headers.items()]
    return b"\r\n".join([first, *lines, rest])


def _by_order(sent: list[Received], order_of: Callable[[Received], str]) -> dict[str, list[Received]]:
    found: dict[str, list[Received]] = {}
    for item in sent:
        found.setdefault(order_of(item), []).append(item)
    return found
