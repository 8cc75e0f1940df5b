"""The composition root: everything the gateway is made of is put together here, and taken apart in reverse."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import structlog
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import Route
from starlette.types import ASGIApp

from exchange.api import problems, schema
from exchange.api.admin import AdminDoor
from exchange.api.desk import Desk
from exchange.api.door import Door
from exchange.api.health import HealthDoor
from exchange.api.sellers import SellerDoor
from exchange.background import Background
from exchange.buyers.delivery import Courier
from exchange.buyers.fanout import Fanout
from exchange.embedded.lease import Services
from exchange.gate import Gate
from exchange.live import LiveMarket
from exchange.observe import metrics
from exchange.observe.pulse import Pulse
from exchange.ping import Pings, PingTimes
from exchange.post import Posts, PostTimes
from exchange.readiness import Readiness
from exchange.record import Recorder
from exchange.settings import Settings, master_key, secret_environment
from exchange.storage.acceptance import Acceptance
from exchange.storage.database import Database
from exchange.storage.feed import Feed
from exchange.storage.fingerprints import People
from exchange.storage.hints import Hints
from exchange.storage.journal import Journal
from exchange.storage.keys import KeyRing
from exchange.storage.migrate import check_schema, migrations_folder
from exchange.storage.sales import Sales
from exchange.storage.vault import Vault
from exchange.takeover.swapping import be_brisk
from exchange.wires import Wires

TITLE = "Lead exchange"
ABOUT = "Sellers ping part of a lead, buyers bid at the same time, an auction decides, and the winner gets the post."
GC_THRESHOLDS = (20_000, 20, 50)

log = structlog.get_logger(__name__)


class Gateway(NamedTuple):
    """The application, and those of its doors that are so busy that the server's protocol opens them itself.

    `stopping` says that it is to end: it is not ready any more.
    """

    app: ASGIApp
    busy_doors: Mapping[str, Door]
    stopping: Callable[[], None]


def create_gateway(settings: Settings, services: Services) -> Gateway:
    """The gateway. Its parts start and stop with the application's lifespan; its busy doors are there then.

    Starting raises SchemaMismatch or StorageUnavailable where the database cannot be used.
    """
    doors: dict[str, Door] = {}
    stopping = asyncio.Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            desk = await _open_desk(settings, services, stopping, stack)
            doors.update(_add_doors(app, desk, settings))
            _quiet_collector()
            be_brisk()
            yield

    app = FastAPI(title=TITLE, description=ABOUT, lifespan=lifespan)
    problems.install(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return Gateway(app, doors, stopping.set)


async def _open_desk(settings: Settings, services: Services, stopping: asyncio.Event, stack: AsyncExitStack) -> Desk:
    """Opens everything in order; the stack closes it in reverse, after the work in the background has ended."""
    await check_schema(services.postgres_url, migrations_folder())
    database = await Database.connect(
        services.postgres_url,
        connections_max=settings.postgres_connections_max,
        timeout_s=settings.postgres_timeout_s,
        flushes=True,
    )
    stack.push_async_callback(database.close)
    hints, people = Hints(database, services.valkey_url), People(database, services.valkey_url)
    environment = secret_environment()
    live, wires = LiveMarket(database, services.postgres_url, environment, hints), Wires(environment)
    await live.start()
    stack.push_async_callback(live.close)
    await hints.start()
    stack.push_async_callback(hints.close)
    people.start()
    stack.push_async_callback(people.close)
    feed = Feed(services.valkey_url)
    stack.push_async_callback(feed.close)
    journal = Journal(database, rows_max=settings.journal_rows_max)
    stack.push_async_callback(journal.close)
    fanout = Fanout(allow_private=settings.allow_private_addresses)
    courier, recorder = Courier(allow_private=settings.allow_private_addresses), Recorder(journal, feed)
    stack.push_async_callback(fanout.close)
    stack.push_async_callback(courier.close)
    background = Background()
    stack.push_async_callback(_drain, background, settings.drain_timeout_s)
    vault = Vault(master_key(settings))
    sales = Sales(database, counted=(hints.counted, people.sold))
    acceptance = Acceptance(database, lambda: live.book.by_performance() if live.book else ())
    acceptance.start()
    stack.push_async_callback(acceptance.close)
    pulse = Pulse("gateway", (fanout.measure, journal.measure))
    pulse.start()
    stack.push_async_callback(pulse.close)
    times = PingTimes(settings.ping_finish_ms, settings.ping_ask_min_ms)
    pings = Pings(fanout, recorder, times, lambda: acceptance.measured, wires)
    readiness = Readiness(
        live, database, stopping, lambda book: pings.warm(book, settings.warm_connections, settings.warm_timeout_s)
    )
    await readiness.start()
    stack.push_async_callback(readiness.close)
    return Desk(
        live=live,
        keys=KeyRing(database),
        pings=pings,
        posts=Posts(
            sales,
            courier,
            vault,
            recorder,
            background,
            PostTimes(settings.post_attempt_min_ms, settings.post_finish_ms),
            wires,
        ),
        gate=Gate(people, vault, recorder),
        sales=sales,
        recorder=recorder,
        database=database,
        readiness=readiness,
    )


def _quiet_collector() -> None:
    """Takes what is there for good out of the garbage collector's way: walking FastAPI's heap delays pings."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _drain(background: Background, timeout_s: float) -> None:
    if cut := await background.drain(timeout_s):
        metrics.LIMITS_HIT.add(("drain_timeout_s",), cut)
        log.error("work_cut_at_shutdown", count=cut)


def _add_doors(app: FastAPI, desk: Desk, settings: Settings) -> dict[str, Door]:
    """Adds all doors to the application; returns the busy ones by their paths."""
    sellers = SellerDoor(desk, pings_in_flight_max=settings.pings_in_flight_max)
    busy = {"/v1/ping": Door(sellers.ping), "/v1/post": Door(sellers.post), "/v1/leads": Door(sellers.lead)}
    for path, door in busy.items():
        app.router.routes.append(Route(path, door, methods=["POST"]))
    app.router.routes.append(Route("/v1/pings/{ping_id}", Door(sellers.ping_state), methods=["GET"]))
    app.router.routes.append(Route("/v1/posts/{post_id}", Door(sellers.post_state), methods=["GET"]))

    app.include_router(AdminDoor(desk.database, desk.keys, desk.live).router)

    token = settings.metrics_token.get_secret_value() if settings.metrics_token else None
    health = HealthDoor(desk.readiness.missing, token)
    app.add_route("/livez", health.livez, ["GET"], include_in_schema=False)
    app.add_route("/readyz", health.readyz, ["GET"], include_in_schema=False)
    app.add_route("/metrics", health.metrics, ["GET"], include_in_schema=False)
    return busy


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        base = get_openapi(title=TITLE, version=app.version, description=ABOUT, routes=app.routes)
        app.openapi_schema = schema.document(base)
    return app.openapi_schema
