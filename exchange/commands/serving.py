"""`exchange serve` and `exchange worker`: processes that run until they are told to stop."""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import uvloop
from prometheus_client import start_http_server

from exchange import gateway, worker
from exchange.buyers.delivery import Courier
from exchange.children import Children
from exchange.commands.session import prepare_schema, services
from exchange.embedded.lease import Services
from exchange.errors import SettingsError
from exchange.gateway import raise_descriptor_limit, stop_on_signals, stop_without_parent
from exchange.observe.metrics import REGISTRY
from exchange.reconcile import Limits, Reconciler
from exchange.rules.doubt import Pace
from exchange.settings import Settings, child_environment, master_key, secret_environment
from exchange.storage.database import Database
from exchange.storage.vault import Vault


def serve(settings: Settings, *, host: str, port: int, workers: int, with_worker: bool, leashed: bool) -> bool:
    """Runs the gateway: in this process, or in `workers` children that share its socket. False where it failed.

    A leashed one also stops when the process that started it is gone.
    """
    listener = _listen(host, port)
    raise_descriptor_limit()
    master_key(settings)  # made before children look for it
    with services(settings) as lease:

        async def main() -> bool:
            await prepare_schema(settings, lease.services)
            stop = asyncio.Event()
            stop_on_signals(stop)
            if leashed:
                stop_without_parent(stop)
            children = _children(settings, stop)
            if with_worker:
                children.keep("worker", ["worker", "--leashed"])
            _say(f"serving on http://{host}:{listener.getsockname()[1]} (API documentation at /docs)")
            if workers > 1:
                for number in range(workers):
                    share = listener.fileno()
                    children.keep(f"gateway {number + 1}", ["gateway", "--descriptor", str(share)], share=[share])
                await stop.wait()
                started = True
            else:
                started = await gateway.serve(settings, lease.services, listener, stop=stop)
                stop.set()
            await children.ended()
            return started

        return uvloop.run(main())


def serve_child(settings: Settings, descriptor: int) -> bool:
    """One of several gateways on the parent's socket. It holds the servers too: it may have to outlive the parent."""
    with services(settings) as lease:
        return gateway.run(settings, lease.services, socket.socket(fileno=descriptor))


def run_worker(settings: Settings, *, leashed: bool) -> None:
    """Does chores until told to stop; a leashed worker also stops when its parent is gone."""

    async def main(prepare: Callable[[], Awaitable[None]], given: Services) -> None:
        await prepare()
        stop = asyncio.Event()
        stop_on_signals(stop)
        if leashed:
            stop_without_parent(stop)
        async with AsyncExitStack() as stack:
            database = await Database.connect(
                given.postgres_url, connections_max=4, timeout_s=settings.postgres_timeout_s, name="worker"
            )
            stack.push_async_callback(database.close)
            courier = Courier(allow_private=settings.allow_private_addresses)
            stack.push_async_callback(courier.close)
            reconciler = _reconciler(settings, database, courier)
            stack.push_async_callback(reconciler.close)
            if settings.worker_metrics_port is not None:
                stack.callback(_show_metrics(settings.worker_metrics_port))
            await worker.work(database, reconciler, stop=stop)

    with services(settings) as lease:
        uvloop.run(main(lambda: prepare_schema(settings, lease.services), lease.services))


def _reconciler(settings: Settings, database: Database, courier: Courier) -> Reconciler:
    pace = Pace(settings.resolve_first_s, settings.resolve_longest_s, settings.resolve_tries_max)
    limits = Limits(pace, settings.resolve_at_once_max)
    return Reconciler(database, courier, Vault(master_key(settings)), secret_environment(), limits)


def _show_metrics(port: int) -> Callable[[], None]:
    """Answers /metrics on loopback from a thread of its own; returns what ends it."""
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=REGISTRY)
    except OSError as error:
        raise SettingsError(f"the worker's metrics cannot listen on 127.0.0.1:{port}: {error.strerror}") from error

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end


def _children(settings: Settings, stop: asyncio.Event) -> Children:
    environment = child_environment({"EXCHANGE_DATA_DIR": str(settings.data_dir)})
    return Children(environment, stop, stop_timeout_s=2 * settings.drain_timeout_s + 10)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return gateway.listen(host, port)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from error


def _say(text: str) -> None:
    print(f"exchange: {text}", file=sys.stderr, flush=True)  # noqa: T201  # for the person who started it
