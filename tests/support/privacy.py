"""Where contact data could be seen: a gateway that tells everything, and whatever lies in Postgres and Valkey."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from redis.asyncio import Redis

from exchange.embedded.lease import Services
from exchange.storage.database import Connection, Database
from support.buyer import Buyer
from support.commands import Serving, shell_on
from support.market import LEAD, Document

JSON_TYPE = "application/json"


class Seller:
    """Sends requests, right and wrong ones."""

    def __init__(self, client: httpx.AsyncClient, key: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {key}"}

    async def send(
        self, path: str, document: object, status: int = 200, *, key: str | None = None, media_type: str = JSON_TYPE
    ) -> Document:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        sent = self._headers | {"Content-Type": media_type} | ({"Idempotency-Key": key} if key else {})
        answer = await self._client.post(path, content=content, headers=sent)
        assert answer.status_code == status, answer.text
        found: Document = answer.json()
        return found

    async def offer(self, lead: Document | None = None, **more: Any) -> str:
        found = await self.send("/v1/ping", {"campaign": "auto-us", "lead": lead or LEAD} | more)
        assert found["status"] == "offered"
        return str(found["ping_id"])

    async def look(self, path: str) -> Document:
        answer = await self._client.get(path, headers=self._headers)
        found: Document = answer.json()
        return found


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[list[bytes]]:
    """Everything that is published on any channel meanwhile."""
    heard: list[bytes] = []

    async def listen(subscribed: asyncio.Event) -> None:
        async with Redis.from_url(url) as client, client.pubsub() as channels:
            await channels.psubscribe("*")
            async for message in channels.listen():
                subscribed.set()
                heard.append(repr(message).encode())

    subscribed = asyncio.Event()
    task = asyncio.create_task(listen(subscribed))
    await subscribed.wait()
    yield heard
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def everything_in_valkey(url: str) -> list[tuple[str, bytes]]:
    async with Redis.from_url(url) as client:
        found = [key async for key in client.scan_iter(count=1_000)]
        return [("a key of Valkey", key + b" " + (await client.dump(key) or b"")) for key in found]


async def everything_in_postgres(database: Database) -> list[tuple[str, bytes | str]]:
    """Every value of every table; binary ones as they are."""

    async def work(connection: Connection) -> list[tuple[str, bytes | str]]:
        found: list[tuple[str, bytes | str]] = []
        names = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
        for name in (row["tablename"] for row in names):
            for row in await connection.fetch(f'select * from "{name}"'):  # noqa: S608  # a table's own name
                for column, value in row.items():
                    where = f"column {column} of {name}"
                    found.append((where, value if isinstance(value, bytes) else str(value)))
        return found

    return await database.run(work)


@asynccontextmanager
async def gateway(services: Services, folder: Path, collector: Buyer, style: str) -> AsyncIterator[Serving]:
    """A gateway as an operator starts it, whose log can be read, and who tells a collector of every request."""
    shell = shell_on(services, folder)
    environment = {"EXCHANGE_POSTGRES_TIMEOUT_S": "0.5", "EXCHANGE_LOG_LEVEL": "debug", "EXCHANGE_LOG_STYLE": style}
    environment |= {"EXCHANGE_LOG_PINGS_SHARE": "1", "EXCHANGE_TRACE_SHARE": "1"}
    shell.environment.update(environment | {"EXCHANGE_OTLP_ENDPOINT": collector.url})
    async with shell.serving("--no-worker") as serving:
        yield serving


async def in_force(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200
