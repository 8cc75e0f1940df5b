"""One gateway process: the application on a listening socket, until it is told to stop or its parent is gone."""

import asyncio
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn
import uvloop

from exchange.api.places import Places
from exchange.api.protocol import door_protocol
from exchange.api.upgrades import without_upgrades
from exchange.app import create_gateway
from exchange.children import stop_on_signals, stop_without_parent
from exchange.embedded.lease import Services
from exchange.listening import BACKLOG, raise_descriptor_limit
from exchange.settings import Settings

KEEP_ALIVE_S = 75

log = structlog.get_logger(__name__)


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: whoever runs it says when to stop, and the exit status stays 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, services: Services, listener: socket.socket, *, stop: asyncio.Event) -> bool:
    """Serves until `stop` is set, then lets what is under way finish. False where it could not start."""
    gateway = create_gateway(settings, services)
    places = Places(settings.connections_max, settings.connections_per_address_max)
    protocol = door_protocol(settings.receive_timeout_s, gateway.busy_doors, places)
    config = uvicorn.Config(
        gateway.app,
        http=without_upgrades(protocol),
        ws="none",  # else whoever asks for it takes his connection out of the protocol's sight, and its place for good
        loop="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.drain_timeout_s),  # uvicorn knows whole seconds
        backlog=BACKLOG,
    )
    server = Server(config)

    async def stop_server() -> None:
        await stop.wait()
        gateway.stopping()
        await asyncio.sleep(settings.stop_notice_s)
        server.should_exit = True

    stopper = asyncio.create_task(stop_server())
    try:
        await server.serve(sockets=[listener])
    finally:
        stopper.cancel()
        listener.close()
    return server.started


def run(settings: Settings, services: Services, listener: socket.socket) -> bool:
    """Runs one gateway as a child process: signals stop it, and so does the loss of its parent."""

    async def main() -> bool:
        stop = asyncio.Event()
        stop_on_signals(stop)
        stop_without_parent(stop)
        return await serve(settings, services, listener, stop=stop)

    raise_descriptor_limit()
    return uvloop.run(main())
