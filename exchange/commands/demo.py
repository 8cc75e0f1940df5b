"""`exchange demo`: a whole market on this machine, with traffic, and three witnesses who must agree in the end."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import uvloop
from redis.exceptions import RedisError
from rich.console import Console

from exchange.commands.beside import look_for_program, prometheus
from exchange.commands.demo_view import Addresses, DemoView, show_summary
from exchange.commands.session import database as open_database
from exchange.commands.session import services
from exchange.embedded.lease import Services
from exchange.errors import CommandError
from exchange.marketfile.reader import read
from exchange.marketfile.source import parse
from exchange.ports import HOST, free_ports
from exchange.settings import Settings, child_environment
from exchange.simulation.books import AttemptRow, Books, PingRow, PostRow, TransferRow
from exchange.simulation.manners import demo_buyers
from exchange.simulation.market import demo_deposits_micros, demo_environment, render_demo_market
from exchange.simulation.reconcile import reconcile
from exchange.simulation.sellers import Account, SellerClient, open_client
from exchange.simulation.tally import Tally
from exchange.simulation.traffic import Habits, Traffic
from exchange.simulation.witness import read_logs, without_pings
from exchange.storage import accounts, catalogue, feed, keys
from exchange.storage.database import Database
from exchange.storage.reports import pings_of, recorded_since
from exchange.values.ids import uuid7

BUYERS_FROM = 9201
"""The first of their ports, where those are free."""
NOTE = "demo"
GUESTS = ("you", "visitor")
"""The sellers for whoever wants to try the API: their leads are nobody's to reconcile."""
READY_S = 30.0
STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What the person asked for: `pings` None means until Ctrl-C; `leave` ends by itself after them."""

    pings: int | None
    leave: bool
    port: int
    seed: int
    pings_per_s: float
    slow_ms: int = 0
    with_prometheus: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that was set up for one run."""

    folder: Path
    services: Services
    environment: Mapping[str, str]
    base_port: int
    sellers: Sequence[Account]
    guest_keys: Sequence[str]
    first: UUID


def run(settings: Settings, wish: Wish, console: Console) -> bool:
    """Runs the demo; True where leads were sold and every witness agrees."""
    if wish.with_prometheus:
        look_for_program()
    folder = settings.data_dir.absolute() / NOTE
    own = settings.model_copy(update={"data_dir": folder, "allow_private_addresses": True})
    with services(own) as lease:
        return uvloop.run(_run(own, lease.services, wish, console))


async def _run(settings: Settings, given: Services, wish: Wish, console: Console) -> bool:
    folder = settings.data_dir
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_database(settings, given) as database:
        stage = await _set_stage(database, given, folder)
        tally = await _play(stage, wish, console, stop)
        books, guests = await books_since(database, stage.first), await pings_of(database, GUESTS, stage.first)
    logs = without_pings(read_logs(_log_folder(folder)), guests)
    report = reconcile(tally, logs, books)
    show_summary(report, console)
    return report.agrees and report.figures.accepted > 0


async def _set_stage(database: Database, given: Services, folder: Path) -> Stage:
    """The example market with its deposits and keys. Raises CommandError over somebody else's market."""
    live = await catalogue.newest(database)
    if live is not None and live.note != NOTE:
        raise CommandError("this database holds a market that is not the demo's: unset EXCHANGE_POSTGRES_URL")
    base_port = free_ports(len(demo_buyers()), wanted=BUYERS_FROM)
    document = parse(render_demo_market(base_port))
    market = read(document)
    await catalogue.apply(database, document, market, NOTE)
    for buyer, micros in demo_deposits_micros().items():
        await accounts.deposit(database, buyer, market.currency, micros, NOTE)
    made = {
        seller.key: Account(seller.key, await keys.create(database, role="seller", seller=seller.key), seller.campaigns)
        for seller in market.sellers.values()
    }
    guest_keys = [made.pop(guest).key for guest in GUESTS]
    environment = child_environment(
        {
            **demo_environment(),
            "EXCHANGE_DATA_DIR": str(folder),
            "EXCHANGE_ALLOW_PRIVATE_ADDRESSES": "1",
        }
    )
    return Stage(folder, given, environment, base_port, tuple(made.values()), guest_keys, uuid7())


async def _play(stage: Stage, wish: Wish, console: Console, stop: asyncio.Event) -> Tally:
    """Runs buyers, gateway and sellers until the traffic is over and everything has come to rest."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_buyers(stage, wish))
        url = await stack.enter_async_context(_gateway(stage, wish.port))
        watcher = None
        if wish.with_prometheus:
            watcher = await stack.enter_async_context(prometheus(url, stage.folder / "prometheus"))
        addresses = Addresses(url, stage.guest_keys, stage.folder, watcher)
        view = stack.enter_context(DemoView(console, addresses, wish.pings))
        watching = asyncio.create_task(_watch(stage.services.valkey_url, view))
        stack.callback(watching.cancel)
        http = await stack.enter_async_context(open_client(url))
        clients = [SellerClient(http, account) for account in stage.sellers]
        traffic = Traffic(
            clients,
            seed=wish.seed,
            today=datetime.now(UTC).date(),
            habits=Habits(pings_per_s=wish.pings_per_s),
            told=view.told,
        )
        tally = await traffic.run(stop, pings=wish.pings)
        if not wish.leave and not stop.is_set():
            view.rest()
            await stop.wait()
        view.finish()
        return tally


@asynccontextmanager
async def _buyers(stage: Stage, wish: Wish) -> AsyncIterator[None]:
    logs = _log_folder(stage.folder)
    logs.mkdir(parents=True, exist_ok=True)
    for old in logs.iterdir():
        old.unlink()
    arguments = ["-m", "exchange.simulation.buyers", "--demo", "--leash", "--port", str(stage.base_port)]
    arguments += ["--seed", str(wish.seed), "--slow-ms", str(wish.slow_ms), "--log-dir", str(logs)]
    async with _process(arguments, stage, "buyers") as farm:
        assert farm.stdout is not None  # noqa: S101  # asked for below
        if not await farm.stdout.readline():
            raise CommandError(f"the simulated buyers did not start; see {stage.folder / 'buyers.log'}")
        yield


@asynccontextmanager
async def _gateway(stage: Stage, port: int) -> AsyncIterator[str]:
    """The gateway as a process of its own; leaving waits until it has finished what it had begun."""
    url = f"http://{HOST}:{port}"
    async with _process(["-m", "exchange.cli", "serve", "--leashed", "--port", str(port)], stage, "gateway") as child:
        async with httpx.AsyncClient(trust_env=False) as client:
            await _ready(client, url, child, stage.folder / "gateway.log")
        yield url


async def _ready(client: httpx.AsyncClient, url: str, child: asyncio.subprocess.Process, log: Path) -> None:
    try:
        async with asyncio.timeout(READY_S):
            while child.returncode is None:
                with suppress(httpx.TransportError):
                    if (await client.get(f"{url}/readyz")).is_success:
                        return
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    raise CommandError(f"the gateway did not start; see {log}")


@asynccontextmanager
async def _process(arguments: Sequence[str], stage: Stage, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A child on a leash, its errors in a log; asked to end on the way out, and killed if it does not."""
    with (stage.folder / f"{name}.log").open("ab") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE if name == "buyers" else log,
            stderr=log,
            env=dict(stage.environment),
            start_new_session=True,
        )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()


async def _watch(valkey_url: str, view: DemoView) -> None:
    """Shows what the live feed says; without Valkey the auctions go on unseen."""
    with suppress(RedisError):
        async for item in feed.watch(valkey_url):
            view.happened(item)


async def books_since(database: Database, first: UUID, left_out: Sequence[str] = GUESTS) -> Books:
    """What was recorded of pings not older than `first`, but for those of some sellers."""
    found = await recorded_since(database, first, left_out)
    return Books(
        pings=tuple(PingRow(str(row[0]), *list(row.values())[1:]) for row in found.pings),
        posts=tuple(PostRow(str(row[0]), str(row[1]), row[2]) for row in found.posts),
        attempts=tuple(
            AttemptRow(str(row[0]), str(row[1]), str(row[2]), *list(row.values())[3:]) for row in found.attempts
        ),
        transfers=tuple(TransferRow(str(row[0]), *list(row.values())[1:]) for row in found.transfers),
    )


def _log_folder(folder: Path) -> Path:
    return folder / "buyers"
