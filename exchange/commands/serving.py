"""`exchange serve`: gateways and a worker that run until they are told to stop.

What a gateway needs is imported where one runs: the parent of several goes without, and its worker starts meanwhile.
"""

import asyncio
import socket
from collections.abc import Awaitable, Sequence
from importlib import import_module

import uvloop

from exchange.children import Children, stop_on_signals, stop_without_parent
from exchange.commands.figures import Sheets, share_figures
from exchange.commands.session import prepare_schema, say, services
from exchange.errors import SettingsError
from exchange.listening import listen, raise_descriptor_limit
from exchange.settings import Settings, child_environment, master_key

STOP_MORE_S = 10.0
"""So long children may take to stop beyond the notice, and the time for answers and for their records."""

WORKER_START_S = 15.0
"""The gateway opens when its worker has started, which costs a second of CPU, or after so long."""


def serve(settings: Settings, *, host: str, port: int, workers: int, with_worker: bool, leashed: bool) -> bool:
    """Runs the gateway: in this process, or in `workers` children that share its socket. False where it failed.

    A leashed one also stops when the process that started it is gone.
    """
    listener = _listen(host, port)
    raise_descriptor_limit()
    master_key(settings)  # made before children look for it
    _check_files_and_mail(settings)
    with services(settings) as lease:

        async def main() -> bool:
            await prepare_schema(settings, lease.services)
            stop = asyncio.Event()
            stop_on_signals(stop)
            if leashed:
                stop_without_parent(stop)
            children, sheets = _children(settings, stop), Sheets(workers + with_worker)
            starting: list[Awaitable[object]] = []
            if with_worker:
                share, ended = sheets.descriptors, sheets.closer(workers)
                words = ["worker", "--leashed", *sheets.words(workers)]
                within_s = WORKER_START_S
                starting.append(children.keep_ready("worker", words, within_s=within_s, share=share, ended=ended))
            if workers == 1:
                starting.append(asyncio.to_thread(import_module, "exchange.gateway"))  # while the worker starts
            await asyncio.gather(*starting)
            named = f"[{host}]" if ":" in host else host
            say(f"serving on http://{named}:{listener.getsockname()[1]} (API documentation at /docs)")
            if workers > 1:
                for number in range(workers):
                    words = ["gateway", "--descriptor", str(listener.fileno()), *sheets.words(number)]
                    share, ended = [listener.fileno(), *sheets.descriptors], sheets.closer(number)
                    children.keep(f"gateway {number + 1}", words, share=share, ended=ended)
                await stop.wait()
                started = True
            else:
                from exchange import gateway

                share_figures(sheets.descriptors, 0)
                started = await gateway.serve(settings, lease.services, listener, stop=stop)
                stop.set()
            await children.ended()
            return started

        return uvloop.run(main())


def serve_child(settings: Settings, descriptor: int, sheets: Sequence[int], own: int | None) -> bool:
    """One of several gateways on the parent's socket. It holds the servers too: it may have to outlive the parent.

    Its figures are on the sheet `own` of those on the descriptors `sheets`.
    """
    from exchange import gateway

    share_figures(sheets, own)
    with services(settings) as lease:
        return gateway.run(settings, lease.services, socket.socket(fileno=descriptor))


def _check_files_and_mail(settings: Settings) -> None:
    """Raises SettingsError for what a gateway could not start with, before there is one to say so at length."""
    if settings.ca_file is not None:
        from exchange.buyers.tls import check_authorities

        check_authorities(settings.ca_file)
    if settings.smtp_url is not None:
        from exchange.carriers.mail import relay_from

        relay_from(settings)


def _children(settings: Settings, stop: asyncio.Event) -> Children:
    environment = child_environment({"EXCHANGE_DATA_DIR": str(settings.data_dir)})
    return Children(environment, stop, stop_timeout_s=stops_within_s(settings))


def stops_within_s(settings: Settings) -> float:
    """How long `exchange serve` may take to stop: whoever is not done by then is killed."""
    return settings.stop_notice_s + 2 * settings.drain_timeout_s + STOP_MORE_S


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from error
