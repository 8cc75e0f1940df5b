"""What a run takes place on: its database and market, links, and its buyers, gateways and worker as processes."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

import orjson

from exchange.embedded.lease import Services
from exchange.errors import CommandError
from exchange.marketfile.reader import read
from exchange.ports import HOST, free_port
from exchange.settings import child_environment
from exchange.simulation.chaos import watch
from exchange.simulation.chaos.buyers import CALM, Spec
from exchange.simulation.chaos.link import Link
from exchange.simulation.chaos.market import PREPAID_DEPOSIT_MICROS, SELLERS, TEMPERS, Document, market
from exchange.simulation.chaos.nemesis import Battlefield
from exchange.simulation.chaos.processes import EXCHANGE, Child, Embedded, Note, Recipe
from exchange.storage import accounts, catalogue, keys
from exchange.storage.database import Database
from exchange.storage.migrate import migrate, migrations_folder

NOTE = "chaos"
STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What to run. The margins are those of the program under test: how long its leases outlast a buyer's time."""

    folder: Path
    seconds: float
    seed: int
    gateways: int = 2
    pings_per_s: float = 20.0
    program: Sequence[str] = EXCHANGE
    lease_margin_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that was set up."""

    database: Database
    document: Document
    field: Battlefield
    keys: Mapping[str, str]
    buyers: asyncio.subprocess.Process

    @property
    def gateways(self) -> list[str]:
        return [gateway.url or "" for gateway in self.field.gateways]

    def calm_buyers(self) -> None:
        """From now on every buyer's answer arrives."""
        self.buyers.send_signal(CALM)


@asynccontextmanager
async def set_stage(wish: Wish, services: Services, note: Note) -> AsyncIterator[Stage]:
    """Sets everything up and takes it down; `services` are the run's own, in `wish.folder`."""
    await migrate(services.postgres_url, migrations_folder())
    async with AsyncExitStack() as stack:
        database = await Database.connect(services.postgres_url, connections_max=4, timeout_s=5, name=NOTE)
        stack.push_async_callback(database.close)
        await watch.install(database)
        buyers, ports = await stack.enter_async_context(_buyers(wish))
        to_buyers = await _links(stack, wish, {name: (HOST, port) for name, port in ports.items()})
        document = market({link.name: link.port for link in to_buyers}, wish.seconds)
        made = await _open_market(database, document)
        field = await _battlefield(stack, wish, services, to_buyers, note)
        yield Stage(database, document, field, made, buyers)


async def _open_market(database: Database, document: Document) -> dict[str, str]:
    """Applies the market with its deposits; the sellers' keys."""
    await catalogue.apply(database, document, read(document), NOTE)
    await accounts.deposit(database, "prepaid", "USD", PREPAID_DEPOSIT_MICROS, NOTE)
    return {name: await keys.create(database, role="seller", seller=name) for name in SELLERS}


async def _battlefield(
    stack: AsyncExitStack, wish: Wish, services: Services, to_buyers: Sequence[Link], note: Note
) -> Battlefield:
    postgres, valkey = _postgres_socket(services.postgres_url), Path(services.valkey_url.removeprefix("unix://"))
    names = [f"gateway-{number + 1}" for number in range(wish.gateways)]
    to_postgres = await _links(stack, wish, {f"{name} to postgres": postgres for name in (*names, "worker")})
    to_valkey = await _links(stack, wish, {f"{name} to valkey": valkey for name in names})
    gateways = []
    for name, own_postgres, own_valkey in zip(names, to_postgres, to_valkey, strict=False):
        port = free_port()
        words = ["serve", "--leashed", "--no-worker", "--host", HOST, "--port", str(port)]
        environment = _environment(wish, own_postgres, own_valkey)
        recipe = Recipe(f"{name} (:{port})", wish.program, words, environment, _log(wish, name))
        gateways.append(Child(recipe, note, url=f"http://{HOST}:{port}"))
    environment = _environment(wish, to_postgres[-1], to_valkey[0])
    worker = Child(Recipe("worker", wish.program, ["worker", "--leashed"], environment, _log(wish, "worker")), note)
    for child in (*gateways, worker):
        child.start()
        stack.push_async_callback(child.stop)
    await asyncio.gather(*(gateway.ready() for gateway in gateways))
    data = (wish.folder / "data").resolve()
    return Battlefield(
        gateways=gateways,
        worker=worker,
        postgres=Embedded("postgres", data / "postgres.pid", f" -D {data / 'postgres'} "),
        valkey=Embedded("valkey", data / "valkey.pid", f" --dir {data / 'valkey'} "),
        valkey_url=services.valkey_url,
        to_buyers=to_buyers,
        to_postgres=to_postgres,
        to_valkey=to_valkey,
        lease_s=wish.lease_margin_s + 3,
    )


async def _links(stack: AsyncExitStack, wish: Wish, targets: Mapping[str, tuple[str, int] | Path]) -> list[Link]:
    """A link to each, with luck of its own. Held bytes arrive only while the exchange still reckons with them."""
    links = []
    for name, target in targets.items():
        link = Link(name, target, Random(f"{wish.seed} {name}"), held_s_max=wish.lease_margin_s / 2)
        await link.open()
        stack.push_async_callback(link.close)
        links.append(link)
    return links


@asynccontextmanager
async def _buyers(wish: Wish) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, int]]]:
    spec = wish.folder / "buyers.json"
    Spec(wish.seed, str(diaries(wish.folder)), TEMPERS).write(spec)
    with _log(wish, "buyers").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "exchange.simulation.chaos.buyers",
            str(spec),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        line = await process.stdout.readline() if process.stdout else b""
        if not line:
            raise CommandError(f"the buyers did not start; see {_log(wish, 'buyers')}")
        yield process, orjson.loads(line)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _environment(wish: Wish, postgres: Link, valkey: Link) -> dict[str, str]:
    return child_environment(
        {
            "EXCHANGE_POSTGRES_URL": f"postgresql://postgres@{HOST}:{postgres.port}/exchange?sslmode=disable",
            "EXCHANGE_VALKEY_URL": f"redis://{HOST}:{valkey.port}",
            "EXCHANGE_DATA_DIR": str(wish.folder / "keys"),
            "EXCHANGE_ALLOW_PRIVATE_ADDRESSES": "1",
            "EXCHANGE_RESOLVE_FIRST_S": "0.5",
            "EXCHANGE_RESOLVE_LONGEST_S": "2",
            "EXCHANGE_RESOLVE_TRIES_MAX": "100000",
            "EXCHANGE_POSTGRES_CONNECTIONS_MAX": "6",
        }
    )


def diaries(folder: Path) -> Path:
    """Where the buyers of a run keep their diaries."""
    return folder / "buyers"


def _postgres_socket(url: str) -> Path:
    query = parse_qs(urlsplit(url).query)
    return Path(query["host"][0]) / f".s.PGSQL.{query['port'][0]}"


def _log(wish: Wish, name: str) -> Path:
    return wish.folder / f"{name}.log"


Say = Callable[[str], None]
