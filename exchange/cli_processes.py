"""The commands that run until they are told to stop, and the one that watches them."""

from typing import Annotated

import typer
from rich.console import Console

from exchange.commands.session import loaded_settings

Leashed = Annotated[bool, typer.Option(hidden=True)]
Sheets = Annotated[str, typer.Option(hidden=True)]  # descriptors of the figures of all processes
Own = Annotated[int | None, typer.Option(hidden=True)]

console = Console(emoji=False)  # what somebody wrote is shown as he wrote it


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Gateway processes.")] = 1,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Leave chores to `exchange worker`.")] = False,
    leashed: Leashed = False,
) -> None:
    """Run the gateway."""
    from exchange.commands import serving

    with_worker = not no_worker
    if not serving.serve(
        loaded_settings(), host=host, port=port, workers=workers, with_worker=with_worker, leashed=leashed
    ):
        raise typer.Exit(1)


def gateway(
    descriptor: Annotated[int, typer.Option(help="The listening socket.")], sheets: Sheets = "", own: Own = None
) -> None:
    """Run one of several gateways, as a child of `serve`."""
    from exchange.commands import serving
    from exchange.commands.figures import read_descriptors

    if not serving.serve_child(loaded_settings(), descriptor, read_descriptors(sheets), own):
        raise typer.Exit(1)


def worker(
    leashed: Leashed = False,
    ready: Annotated[int | None, typer.Option(hidden=True)] = None,
    sheets: Sheets = "",
    own: Own = None,
) -> None:
    """Run the chores off the hot path."""
    from exchange.commands import working
    from exchange.commands.figures import read_descriptors, share_figures

    share_figures(read_descriptors(sheets), own)
    working.run_worker(loaded_settings(), leashed=leashed, ready=ready)


def top(
    url: Annotated[str, typer.Option(help="Of a gateway.")] = "http://127.0.0.1:8000",
    every: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Print one table and end.")] = False,
) -> None:
    """Watch a running gateway: pings, offers, sales, money, the slowest buyers, unknown attempts."""
    from exchange.commands import top as top_command

    top_command.run(console, url=url.rstrip("/"), every_s=every, once=once, token=loaded_settings().metrics_token)
