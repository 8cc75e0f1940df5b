"""A whole exchange on real parts: a gateway on a socket, a database of its own, a market, and keys for its sellers."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from exchange import gateway
from exchange.embedded.lease import Services
from exchange.listening import listen
from exchange.marketfile.reader import read
from exchange.observe import metrics
from exchange.observe.sheet import Sheet
from exchange.settings import Settings
from exchange.storage import catalogue, invariants, keys
from exchange.storage.database import Database
from support.market import CONTACT, LEAD, Document
from support.waiting import PATIENCE_S, until


@dataclass
class World:
    """The exchange as a test sees it: a client for its doors, and its database."""

    client: httpx.AsyncClient
    database: Database
    keys: dict[str, str]
    services: Services

    async def apply(self, document: Document) -> int:
        """Applies a market and waits until the gateway has it."""
        version = await catalogue.apply(self.database, document, read(document), "test")
        await self.in_force(version)
        return version

    async def in_force(self, version: int) -> None:
        """Waits until the gateway has a version of the market."""

        async def figures() -> str:
            return (await self.client.get("/metrics")).text

        await until(figures, lambda text: f"exchange_market_version {float(version)}" in text)

    async def send(self, path: str, document: object, seller: str = "acme", **headers: str) -> httpx.Response:
        sent = {"Authorization": f"Bearer {self.keys[seller]}"} | headers
        return await self.client.post(path, json=document, headers=sent)

    async def ping(self, lead: Document | None = None, seller: str = "acme", **more: Any) -> Document:
        answer = await self.send("/v1/ping", {"campaign": "auto-us", "lead": lead or LEAD} | more, seller)
        assert answer.status_code == 200, answer.text
        found: Document = answer.json()
        return found

    async def post(self, ping_id: str, lead: Document | None = None, seller: str = "acme") -> Document:
        answer = await self.send("/v1/post", {"ping_id": ping_id, "lead": lead or CONTACT}, seller)
        assert answer.status_code == 200, answer.text
        found: Document = answer.json()
        return found

    async def get(self, path: str, seller: str = "acme") -> httpx.Response:
        return await self.client.get(path, headers={"Authorization": f"Bearer {self.keys[seller]}"})

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        return await self.database.run(lambda connection: connection.fetch(query, *arguments))

    async def earned(self, seller: str) -> int:
        """What a seller is owed, in micro-units: the transfers to his account less those from it."""
        [row] = await self.rows(
            "select sum(case t.credit_account when a.account_id then amount_micros else -amount_micros end) as micros "
            "from accounts a join transfers t on a.account_id in (t.debit_account, t.credit_account) "
            "where (a.kind, a.owner) = ('seller', $1)",
            seller,
        )
        return int(row["micros"] or 0)

    async def reasons(self, ping_id: str) -> dict[str, int]:
        """The reason of every order of a ping, as recorded."""
        query = "select trace->'orders' as orders from pings where ping_id = $1"
        [found] = await until(lambda: self.rows(query, ping_id), bool)  # it is recorded a moment later
        return {order: reason for order, _, reason, *_ in json.loads(found["orders"])}

    @asynccontextmanager
    async def locked(self, table: str) -> AsyncIterator[None]:
        """Lets nobody write to a table meanwhile; they wait."""
        async with self.holding(f"lock table {table} in share mode"):
            yield

    @asynccontextmanager
    async def holding(self, statement: str, *arguments: object) -> AsyncIterator[None]:
        """Keeps the locks that a statement takes."""
        connection = await asyncpg.connect(self.services.postgres_url)
        try:
            await connection.execute("begin")
            await connection.execute(statement, *arguments)
            yield
        finally:
            await connection.close()

    async def waiting_for_locks(self) -> int:
        """How many connections are waiting for somebody else's lock."""
        [row] = await self.rows(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
        return int(row["count"])

    async def assert_sound(self) -> None:
        """The money is in order."""
        broken = [finding for finding in await invariants.check(self.database) if finding.broken]
        assert not broken


@asynccontextmanager
async def open_world(services: Services, data_dir: Path, **changes: Any) -> AsyncIterator[World]:
    """Starts a gateway on a free port; no market is in force yet."""
    settings = Settings(
        postgres_url=services.postgres_url,
        valkey_url=services.valkey_url,
        data_dir=data_dir,
        allow_private_addresses=True,
        **changes,
    )
    metrics.REGISTRY.share([Sheet.private(metrics.REGISTRY.making)], 0)  # not on that of gateways before it
    listener = listen("127.0.0.1", 0)
    stop = asyncio.Event()
    serving = asyncio.create_task(gateway.serve(settings, services, listener, stop=stop))
    database = await Database.connect(services.postgres_url, connections_max=2, timeout_s=10, name="test")
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
            await _alive(client, serving)
            made = {name: await keys.create(database, role="seller", seller=name) for name in ("acme", "other", "shut")}
            yield World(client, database, made, services)
    finally:
        stop.set()
        await serving
        await database.close()


async def _alive(client: httpx.AsyncClient, serving: "asyncio.Task[bool]") -> None:
    while True:
        try:
            (await client.get("/livez")).raise_for_status()
        except httpx.ConnectError:
            assert not serving.done(), "the gateway did not start"
            await asyncio.sleep(0.01)
        else:
            return
