"""A small exchange for one story: buyers who do as they are told, planted gateways and workers, and the checker."""

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
from support.market import VERTICAL, Document

from exchange.embedded.lease import Services
from exchange.marketfile.reader import read
from exchange.ports import HOST
from exchange.simulation.chaos import watch
from exchange.simulation.chaos.books import Attempt, Books, read_books
from exchange.simulation.chaos.buyer import Buyer
from exchange.simulation.chaos.checker import check, report
from exchange.simulation.chaos.conduct import ACCEPTED, Move, Temper
from exchange.simulation.chaos.diary import POST, Asked, Diary, Seen, read_diary
from exchange.simulation.chaos.evidence import Violation, Witnesses
from exchange.simulation.chaos.link import Link, Weather
from exchange.simulation.chaos.market import endpoint, terms_of
from exchange.simulation.chaos.sellers import LEADS_PATH, PING_PATH, POST_PATH
from exchange.storage import catalogue, keys
from exchange.storage.database import Database

PATIENCE_S = 20.0
MARGIN_S = 0.4
ENDPOINT_MS = 1000
CAMPAIGN_MS = 6000
SELLERS = ("acme", "bolt")
SHUT = Weather(shut=True, reset_pct=100)
HOLE = Weather(hole_pct=100)


@dataclass(frozen=True)
class Role:
    """What a buyer of a story does: `moves` are those of his deliveries in turn, the last one for ever."""

    price: str = "21.00"
    decision: str = ACCEPTED
    moves: Sequence[Move] = (Move.ANSWER,)
    has_status: bool = False
    idempotent: bool = False
    think_ms: float = 2.0
    campaigns: Sequence[str] = ("auto",)


class Puppet(Buyer):
    """A buyer who plays a role; `marker` is made when he has written a delivery down."""

    def __init__(self, name: str, role: Role, diary: Diary, marker: Path | None = None) -> None:
        cents = int(role.price.replace(".", ""))
        has_status, think_ms = role.has_status, role.think_ms
        temper = Temper(name, cents, cents, has_status=has_status, ping_trouble_pct=0, think_ms=think_ms)
        super().__init__(temper, 1, diary)
        self.role = role
        self.marker = marker

    def decide(self, _: str) -> str:
        return self.role.decision

    def move(self, _: str, what: str, time: int) -> Move:
        if self.calm or what != POST:
            return Move.ANSWER
        if self.marker is not None:
            self.marker.touch()
        return self.role.moves[min(time, len(self.role.moves) - 1)]


class Nursery:
    """The process that forks commands."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def fork(self, request: Mapping[str, object]) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@dataclass
class Forked:
    """A child of the nursery."""

    pid: int
    log: Path
    url: str = ""

    def is_there(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    async def gone(self) -> None:
        ends_s = time.monotonic() + PATIENCE_S
        while self.is_there():
            assert time.monotonic() < ends_s, f"{self.pid} does not end: {self.said()}"
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        await self.gone()

    def said(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@dataclass
class Arena:
    """The exchange of one story."""

    services: Services
    folder: Path
    database: Database
    nursery: Nursery
    diary: Diary
    watcher: watch.Watcher
    stack: AsyncExitStack
    puppets: dict[str, Puppet] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    document: Document = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    forked: list[Forked] = field(default_factory=list)

    async def open_market(
        self, roles: Mapping[str, Role], campaigns: Mapping[str, Document] | None = None, markers: bool = False
    ) -> None:
        """Buyers behind links of their own, each with one order on his campaigns."""
        for name, role in roles.items():
            diary = self.stack.enter_context(Diary(self._diary_of(name)))
            puppet = Puppet(name, role, diary, self.marker(name) if markers else None)
            port = await puppet.open()
            self.stack.push_async_callback(puppet.close)
            link = Link(name, (HOST, port), Random(1), held_s_max=60)  # noqa: S311  # luck need not be secret
            await link.open()
            self.stack.push_async_callback(link.close)
            self.puppets[name], self.links[name] = puppet, link
        self.document = _market(self.links, roles, campaigns or {"auto": {}})
        await catalogue.apply(self.database, self.document, read(self.document), "chaos")
        self.keys = {name: await keys.create(self.database, role="seller", seller=name) for name in SELLERS}

    async def cap(self, order: str, caps: Document, gateway: Forked) -> None:
        """Caps an order, and waits until the gateway has heard of it."""
        self.document["orders"][order]["caps"] = caps
        version = await catalogue.apply(self.database, self.document, read(self.document), "chaos")
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(trust_env=False) as client:
            while f"exchange_market_version {version}.0" not in (await client.get(f"{gateway.url}/metrics")).text:
                await asyncio.sleep(0.02)

    async def gateway(self, *plants: str, **environment: str) -> Forked:
        """A gateway that answers."""
        made = await self.command("serve", "--port", "0", "--no-worker", plants=plants, **environment)
        async with asyncio.timeout(PATIENCE_S):
            while (found := re.search(r"serving on (http://\S+)", made.said())) is None:
                assert made.is_there(), made.said()
                await asyncio.sleep(0.01)
            made.url = found[1]
            async with httpx.AsyncClient(trust_env=False) as client:
                while True:
                    with suppress(httpx.HTTPError):
                        if (await client.get(f"{made.url}/readyz")).is_success:
                            return made
                    await asyncio.sleep(0.01)

    async def worker(self, *plants: str) -> Forked:
        return await self.command("worker", plants=plants)

    async def command(self, *words: str, plants: Sequence[str] = (), **environment: str) -> Forked:
        """Any command of the exchange."""
        log = self.folder / f"process-{len(self.forked)}.log"
        known = {name: value for name, value in os.environ.items() if not name.startswith("EXCHANGE_")}
        known |= {
            "EXCHANGE_POSTGRES_URL": self.services.postgres_url,
            "EXCHANGE_VALKEY_URL": self.services.valkey_url,
            "EXCHANGE_DATA_DIR": str(self.folder / "data"),
            "EXCHANGE_ALLOW_PRIVATE_ADDRESSES": "1",
            "EXCHANGE_RESOLVE_FIRST_S": "0.2",
            "EXCHANGE_RESOLVE_LONGEST_S": "0.5",
        }
        request = {
            "words": words, "plants": plants, "log": str(log), "margin_s": MARGIN_S, "environment": known | environment,
        }  # fmt: skip
        made = Forked(-1, log)
        self.forked.append(made)
        made.pid = self.nursery.fork(request)
        return made

    # What sellers do

    async def ping(self, gateway: Forked, campaign: str = "auto", seller: str = "acme", number: int = 0) -> str:
        """A ping that is offered; its id."""
        lead = {"zip": "60601", "age": 41}
        asked = await self.ask(gateway, PING_PATH, {"campaign": campaign, "lead": lead}, seller, number=number)
        assert asked.document.get("status") == "offered", asked
        return str(asked.document["ping_id"])

    async def post(
        self, gateway: Forked, ping_id: str, key: str | None = None, seller: str = "acme", number: int = 0
    ) -> Asked:
        body = {"ping_id": ping_id, "lead": contact(number)}
        return await self.ask(gateway, POST_PATH, body, seller, key=key, ping_id=ping_id, number=number)

    async def whole(self, gateway: Forked, key: str | None, number: int = 0) -> Asked:
        lead = {"zip": "60601", "age": 41} | contact(number)
        return await self.ask(gateway, LEADS_PATH, {"campaign": "auto", "lead": lead}, "acme", key=key, number=number)

    async def ask(
        self,
        gateway: Forked,
        path: str,
        body: Document,
        seller: str,
        *,
        key: str | None = None,
        ping_id: str | None = None,
        number: int = 0,
    ) -> Asked:
        headers = {"Authorization": f"Bearer {self.keys[seller]}"} | ({"Idempotency-Key": key} if key else {})
        at, status, answer, trouble = time.time(), None, None, ""
        async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
            try:
                response = await client.post(gateway.url + path, json=body, headers=headers)
                status, answer = response.status_code, response.text
            except httpx.HTTPError as error:
                trouble = type(error).__name__
        person = contact(number)
        asked = Asked(
            at, time.time(), seller, gateway.url, path, str(body.get("campaign", "")), person["phone"],
            person["email"], False, ping_id, key, False, status, answer, trouble,
        )  # fmt: skip
        self.diary.write(asked)
        return asked

    # What became of it

    async def expire(self) -> None:
        """Lets all leases run out."""
        await self.execute("update attempts set lease_until = now() - interval '1 s'")

    async def execute(self, statement: str) -> None:
        await self.database.run(lambda connection: connection.execute(statement))

    async def attempts(self) -> list[Attempt]:
        return list((await read_books(self.database)).attempts)

    async def until(self, is_right: Callable[[list[Attempt]], bool], within_s: float = PATIENCE_S) -> None:
        """Waits until the attempts are as they should be, or not much longer."""
        ends_s = time.monotonic() + within_s
        while time.monotonic() < ends_s and not is_right(await self.attempts()):
            await asyncio.sleep(0.05)

    async def verdict(self, *, has_settled: bool = True) -> list[Violation]:
        """Stops everything and asks the checker."""
        for process in self.forked:
            await process.stop()
        await self.watcher.look()
        return check(await self.witnesses(has_settled=has_settled))

    async def witnesses(self, *, has_settled: bool = True) -> Witnesses:
        books: Books = await read_books(self.database)
        seen = [entry for name in self.puppets for entry in read_diary(self._diary_of(name), Seen)]
        told = list(read_diary(self.folder / "sellers.jsonl", Asked))
        return Witnesses(told, seen, books, terms_of(self.document), self.watcher.broken, (), has_settled)

    def deliveries(self, name: str) -> list[Seen]:
        """What a buyer has been sent."""
        return [entry for entry in read_diary(self._diary_of(name), Seen) if entry.what == POST]

    def marker(self, name: str) -> Path:
        return self.folder / f"{name}.marker"

    def _diary_of(self, name: str) -> Path:
        return self.folder / f"{name}.jsonl"


def contact(number: int) -> dict[str, str]:
    """A person; the same for the same number."""
    return {
        "first_name": f"Canary{number}",
        "phone": f"+1312555{100 + number:04d}",
        "email": f"canary-{number}-{number:08x}@example.com",
    }


def is_clear(attempts: list[Attempt]) -> bool:
    """Whether nothing is open any more."""
    return not any(item.state in {"prepared", "unknown"} for item in attempts)


def assert_clean(violations: list[Violation]) -> None:
    assert not violations, report(violations)


def _market(links: Mapping[str, Link], roles: Mapping[str, Role], campaigns: Mapping[str, Document]) -> Document:
    terms = {
        "vertical": "auto", "ping_timeout_ms": 3000, "post_timeout_ms": CAMPAIGN_MS, "offer_ttl_s": 60,
        "floor": "5.00", "margin": {"percent": 15},
    }  # fmt: skip
    found: Document = {
        "version": 1,
        "currency": "USD",
        "verticals": {"auto": VERTICAL},
        "campaigns": {key: terms | changes for key, changes in campaigns.items()},
        "sellers": {name: {"campaigns": [*campaigns]} for name in SELLERS},
        "buyers": {},
        "orders": {},
    }
    for name, role in roles.items():
        found["buyers"][name] = {
            "credit_limit": "100000.00",
            "endpoint": endpoint(
                links[name].port,
                idempotent=role.idempotent,
                has_status=role.has_status,
                post_timeout_ms=ENDPOINT_MS,
            )
            | {"ping_timeout_ms": 2000},
        }
        for campaign in role.campaigns:
            order: dict[str, Any] = {"buyer": name, "campaign": campaign}
            found["orders"][f"{name}-{campaign}"] = order
    return found


@asynccontextmanager
async def open_arena(services: Services, folder: Path, nursery: Nursery) -> AsyncIterator[Arena]:
    """An arena on a fresh database; all that is started in it is gone in the end."""
    database = await Database.connect(services.postgres_url, connections_max=4, timeout_s=10, name="arena")
    await watch.install(database)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        diary = stack.enter_context(Diary(folder / "sellers.jsonl"))
        arena = Arena(services, folder, database, nursery, diary, watch.Watcher(database), stack)
        try:
            yield arena
        finally:
            for process in arena.forked:
                process.send(signal.SIGKILL)
