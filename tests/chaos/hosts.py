"""Two hosts with two gateways each behind a balancer, a pair of Postgres and a Valkey Cluster, killed one by one."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import psutil
from support.postgres_pair import Pair, postgres_pair
from support.valkey_cluster import Cluster, valkey_cluster

from chaos import short_leases
from exchange.ports import HOST, free_port
from exchange.simulation.chaos import run, watch
from exchange.simulation.chaos.books import read_books
from exchange.simulation.chaos.checker import check
from exchange.simulation.chaos.diary import Asked, Diary, Struck
from exchange.simulation.chaos.evidence import Violation, Witnesses
from exchange.simulation.chaos.market import CAMPAIGNS, SELLERS, market
from exchange.simulation.chaos.nemesis import Battlefield
from exchange.simulation.chaos.processes import EXCHANGE, Child, Embedded, Recipe
from exchange.simulation.chaos.sellers import Sellers, plan_errands
from exchange.simulation.chaos.stage import Stage, Wish, _buyers, _open_market
from exchange.storage.database import Database
from exchange.storage.migrate import migrate, migrations_folder

TESTS = Path(__file__).parent.parent
SECONDS = 28.0
PINGS_PER_S = 12.0
BALANCER = TESTS.parent / "deploy" / "haproxy" / "haproxy.cfg"
NOBODY = Embedded("none", Path("/nonexistent/pid"), "none of ours")


@dataclass
class Hosts:
    """All that there is."""

    stage: Stage
    pair: Pair
    cluster: Cluster
    balancer: Child

    @property
    def hosts(self) -> list[Child]:
        return list(self.stage.field.gateways)


@dataclass(frozen=True)
class Verdict:
    """What came of it."""

    violations: list[Violation]
    struck: list[Struck]
    witnesses: Witnesses
    snapshots: int


@asynccontextmanager
async def open_hosts(wish: Wish, note: Callable[[str], None]) -> AsyncIterator[Hosts]:
    async with AsyncExitStack() as stack:
        pair = await stack.enter_async_context(postgres_pair())
        cluster = await stack.enter_async_context(valkey_cluster())
        await migrate(pair.url, migrations_folder())
        database = await Database.connect(pair.url, connections_max=4, timeout_s=3, name="hosts")
        stack.push_async_callback(database.close)
        await watch.install(database)
        buyers, ports = await stack.enter_async_context(_buyers(wish))
        document = market(ports, wish.seconds)
        keys = await _open_market(database, document)
        environment = _environment(wish, pair, cluster)
        hosts = [_host(wish, environment, name, note) for name in ("host-1", "host-2")]
        worker = Child(_recipe(wish, environment, "worker", "worker", "--leashed"), note)
        balancer = _balancer(wish, hosts, note)
        for child in (*hosts, worker, balancer):
            child.start()
            stack.push_async_callback(child.stop)
        await asyncio.gather(*(child.ready() for child in (*hosts, balancer)))
        field = Battlefield(hosts, worker, NOBODY, NOBODY, cluster.url, [], [], [], wish.lease_margin_s)
        yield Hosts(Stage(database, document, field, keys, buyers), pair, cluster, balancer)


async def under_fire(wish: Wish) -> Verdict:
    """One run, to the verdict."""
    struck: list[Struck] = []

    def note(what: str) -> None:
        struck.append(Struck(time.time(), what))

    async with open_hosts(wish, note) as hosts:
        stage, watcher = hosts.stage, watch.Watcher(hosts.stage.database)
        watching = asyncio.create_task(watcher.run())
        with Diary(run._diary(wish.folder)) as diary:
            sellers = Sellers([hosts.balancer.url or ""], dict(stage.keys), diary, wish.seed)
            async with asyncio.TaskGroup() as group:
                errands = plan_errands(Random(wish.seed), SELLERS, CAMPAIGNS, wish.pings_per_s)  # noqa: S311  # repeatable
                group.create_task(sellers.run(errands, wish.seconds))
                group.create_task(_strike_all(hosts, wish.seconds, note))
            stage.calm_buyers()
            await run._settle(wish, stage, sellers)
            await sellers.close()
        await run._stop(stage)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await watcher.look()
        found = run._witnesses(wish, stage, watcher, struck, await read_books(stage.database))
    witnesses = replace(found, told=[_heard(asked) for asked in found.told])
    return Verdict(check(witnesses), struck, witnesses, watcher.snapshots)


async def _strike_all(hosts: Hosts, seconds: float, note: Callable[[str], None]) -> None:
    """Each in its turn, with time to recover before the next."""
    strokes: list[tuple[str, Callable[[], Awaitable[None]]]] = [
        ("host-1 loses its power", lambda: _power_off(hosts.hosts[0])),
        ("one gateway of host-2 is killed", lambda: _kill_gateway(hosts.hosts[1])),
        *[(f"node {at} of Valkey is killed", lambda at=at: _lose_node(hosts.cluster, at)) for at in range(3)],
        ("the balancer is killed", lambda: _power_off(hosts.balancer)),
        ("the primary is killed, and its standby promoted", lambda: _fail_over(hosts.pair)),
        ("the worker is killed", lambda: _power_off(hosts.stage.field.worker)),
    ]
    pause_s = seconds / (len(strokes) + 1)
    for what, strike in strokes:
        await asyncio.sleep(pause_s)
        note(what)
        await strike()


async def _power_off(child: Child) -> None:
    """It and all that it has started; what keeps it starts it again."""
    assert child._process is not None
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(child._process.pid)
        for process in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()


async def _kill_gateway(host: Child) -> None:
    assert host._process is not None
    next(iter(psutil.Process(host._process.pid).children())).kill()


async def _lose_node(cluster: Cluster, at: int) -> None:
    cluster.nodes[at].kill()
    await asyncio.sleep(1.5)
    await cluster.nodes[at].start()


async def _fail_over(pair: Pair) -> None:
    pair.primary.kill()
    await asyncio.sleep(1)
    await pair.promote()


def _heard(asked: Asked) -> Asked:
    """What the balancer says by itself is no answer of the exchange: the request may have arrived or not."""
    with suppress(json.JSONDecodeError):
        json.loads(asked.answer or "")
        return asked
    return replace(asked, status=None, answer=None)


def _host(wish: Wish, environment: dict[str, str], name: str, note: Callable[[str], None]) -> Child:
    port = free_port()
    words = ("serve", "--leashed", "--no-worker", "--workers", "2", "--host", HOST, "--port", str(port))
    return Child(_recipe(wish, environment, name, *words), note, url=f"http://{HOST}:{port}")


def _balancer(wish: Wish, hosts: list[Child], note: Callable[[str], None]) -> Child:
    bind = f"{HOST}:{free_port()}"
    addresses = {
        f"EXCHANGE_GATEWAY_{at + 1}": (host.url or "").removeprefix("http://") for at, host in enumerate(hosts)
    }
    environment = {"PATH": os.environ["PATH"], "EXCHANGE_BIND": bind, **addresses}
    program = ("haproxy", "-db", "-f", str(BALANCER))
    return Child(Recipe("balancer", program, (), environment, wish.folder / "balancer.log"), note, url=f"http://{bind}")


def _recipe(wish: Wish, environment: dict[str, str], name: str, *words: str) -> Recipe:
    return Recipe(name, EXCHANGE, words, environment, wish.folder / f"{name}.log")


def _environment(wish: Wish, pair: Pair, cluster: Cluster) -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith("EXCHANGE_")}
    return known | {
        "PYTHONPATH": os.pathsep.join([str(TESTS / "chaos" / "shortened"), str(TESTS)]),
        "EXCHANGE_POSTGRES_URL": pair.url,
        "EXCHANGE_VALKEY_URL": cluster.url,
        "EXCHANGE_DATA_DIR": str(wish.folder / "keys"),
        "EXCHANGE_ALLOW_PRIVATE_ADDRESSES": "1",
        "EXCHANGE_RESOLVE_FIRST_S": "0.5",
        "EXCHANGE_RESOLVE_LONGEST_S": "2",
        "EXCHANGE_RESOLVE_TRIES_MAX": "100000",
        "EXCHANGE_POSTGRES_CONNECTIONS_MAX": "5",
    }


def wish_for(folder: Path, seed: int, seconds: float = SECONDS) -> Wish:
    return Wish(folder, seconds, seed, pings_per_s=PINGS_PER_S, lease_margin_s=short_leases.MARGIN_S)
