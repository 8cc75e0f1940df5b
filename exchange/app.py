"""The composition root: everything the gateway is made of is put together here, and taken apart in reverse."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import Route
from starlette.types import ASGIApp

from exchange.api import problems, reference_page, schema
from exchange.api.admin import AdminDoor
from exchange.api.desk import Desk
from exchange.api.door import Door, Handler
from exchange.api.entrance import Entrance, EntranceLimits
from exchange.api.health import HealthDoor
from exchange.api.rate_limits import RateLimits
from exchange.api.sellers import SellerDoor
from exchange.carriers.files import prepare
from exchange.embedded.lease import Services
from exchange.engine import open_engine
from exchange.errors import SettingsError
from exchange.observe.pulse import Pulse
from exchange.readiness import Readiness
from exchange.rules.book import RuleBook
from exchange.settings import Settings
from exchange.storage.keys import KeyRing
from exchange.storage.migrate import check_schema, migrations_folder
from exchange.storage.rates import SharedRates
from exchange.takeover.swapping import be_brisk
from exchange.values.brakes import Rate

if TYPE_CHECKING:
    from exchange.observe.spans import Spans

TITLE = "Lead exchange"
ABOUT = "Sellers ping part of a lead, buyers bid at the same time, an auction decides, and the winner gets the post."
GC_THRESHOLDS = (20_000, 20, 50)


class Gateway(NamedTuple):
    """The application, and those of its doors that are so busy that the server's protocol opens them itself.

    `stopping` says that it is to end: it is not ready any more.
    """

    app: ASGIApp
    busy_doors: Mapping[str, Door]
    stopping: Callable[[], None]


def create_gateway(settings: Settings, services: Services) -> Gateway:
    """The gateway. Its parts start and stop with the application's lifespan; its busy doors are there then.

    Raises SettingsError where a part that was asked for is not installed; starting raises SchemaMismatch or
    StorageUnavailable where the database cannot be used.
    """
    doors: dict[str, Door] = {}
    make_spans = _spans_maker(settings)
    stopping = asyncio.Event()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            spans = None if make_spans is None else make_spans()
            if spans is not None:
                stack.push_async_callback(asyncio.to_thread, spans.close)
            desk = await _open_desk(settings, services, stopping, stack, spans)
            doors.update(_add_doors(app, desk, settings, spans))
            _quiet_collector()
            be_brisk()
            yield

    app = FastAPI(title=TITLE, description=ABOUT, lifespan=lifespan, docs_url=None, redoc_url=None)
    problems.install(app)
    reference_page.install(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return Gateway(app, doors, stopping.set)


def _spans_maker(settings: Settings) -> "Callable[[], Spans] | None":
    """Makes what sends spans, where they are to be sent. Raises SettingsError where that is not installed."""
    if settings.otlp_endpoint is None:
        return None
    try:
        from exchange.observe.spans import Spans  # noqa: PLC0415  # an extra: nobody else pays for it
    except ImportError as error:
        raise SettingsError(f"EXCHANGE_OTLP_ENDPOINT needs lead-exchange[otel]: {error}") from None
    return partial(Spans, settings.otlp_endpoint, settings.trace_share, settings.trace_spans_max)


async def _open_desk(
    settings: Settings, services: Services, stopping: asyncio.Event, stack: AsyncExitStack, spans: "Spans | None"
) -> Desk:
    """Opens what the doors stand on; the stack closes it in reverse."""
    await check_schema(services.postgres_url, migrations_folder())
    engine = await open_engine(settings, services, stack, "exchange", spans)
    pulse = Pulse("gateway", engine.measures)
    pulse.start()
    stack.push_async_callback(pulse.close)
    live, database, pings = engine.live, engine.database, engine.pings

    async def warm(book: RuleBook) -> None:
        await prepare(entry.endpoint.means for campaign in book.campaigns.values() for entry in campaign.entries)
        await pings.warm(book, settings.warm_connections, settings.warm_timeout_s)

    readiness = Readiness(live, database, stopping, warm, lambda: engine.recorder.is_cut_off)
    await readiness.start()
    stack.push_async_callback(readiness.close)
    keys, rates = KeyRing(database), RateLimits(live, _usual_rate(settings))
    entrance = Entrance(keys, rates, engine.tally, _entrance_limits(settings))
    shared_rates = SharedRates(rates.buckets, services.valkey_url)
    for part in (entrance, shared_rates):
        part.start()
        stack.push_async_callback(part.close)
    return Desk(engine, keys, readiness, entrance, rates)


def _usual_rate(settings: Settings) -> Rate | None:
    per_s = settings.seller_rate_per_s
    return None if per_s is None else Rate(per_s, settings.seller_rate_burst)


def _entrance_limits(settings: Settings) -> EntranceLimits:
    return EntranceLimits(
        in_flight_max=settings.pings_in_flight_max,
        in_hand_min=settings.pings_in_hand_min,
        lag_target_ms=settings.ping_lag_target_ms,
        own_target_ms=settings.ping_own_target_ms,
        wait_max_ms=settings.ping_wait_max_ms,
        time_min_ms=settings.ping_finish_ms + settings.ping_ask_min_ms,
    )


def _quiet_collector() -> None:
    """Takes what is there for good out of the garbage collector's way: walking FastAPI's heap delays pings."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _add_doors(app: FastAPI, desk: Desk, settings: Settings, spans: "Spans | None") -> dict[str, Door]:
    """Adds all doors to the application; returns the busy ones by their paths."""
    sellers = SellerDoor(desk, posts_in_flight_max=settings.posts_in_flight_max)
    handlers: dict[str, Handler] = {"/v1/ping": sellers.ping, "/v1/post": sellers.post, "/v1/leads": sellers.lead}
    if spans is not None:
        from exchange.traced import traced  # noqa: PLC0415  # as above

        handlers = {path: traced(handler, spans) for path, handler in handlers.items()}
    busy = {
        "/v1/ping": Door(handlers["/v1/ping"], desk.entrance),
        "/v1/post": Door(handlers["/v1/post"]),
        "/v1/leads": Door(handlers["/v1/leads"], desk.entrance),
    }
    for path, door in busy.items():
        app.router.routes.append(Route(path, door, methods=["POST"]))
    app.router.routes.append(Route("/v1/pings/{ping_id}", Door(sellers.ping_state), methods=["GET"]))
    app.router.routes.append(Route("/v1/posts/{post_id}", Door(sellers.post_state), methods=["GET"]))

    app.include_router(AdminDoor(desk.engine.database, desk.keys, desk.engine.live).router)

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
