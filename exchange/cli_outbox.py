"""The commands about the outbox: what waits or is dead, why, and sending it again."""

from typing import Annotated, Literal
from uuid import UUID

import typer
from rich.console import Console

from exchange.commands.session import loaded_settings, with_database

outbox_app = typer.Typer(help="What follows sales, and what sellers are told.", no_args_is_help=True)
console = Console(emoji=False)  # what somebody wrote is shown as he wrote it

State = Literal["waiting", "dead", "done", "skipped", "all"]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@outbox_app.command("list")
def list_rows(
    state: Annotated[State, typer.Option(help="Which ones.")] = "dead",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List deliveries of the outbox: those that were given up, unless told otherwise."""
    from exchange.commands import outbox

    found = with_database(loaded_settings(), lambda database: outbox.listed(database, state, limit))
    if as_json:
        print(outbox.as_json(found))
    else:
        console.print(outbox.table(found))


@outbox_app.command("show")
def show(
    identifier: Annotated[UUID, typer.Argument(help="The id of a delivery, a post or an attempt.")],
    as_json: AsJson = False,
) -> None:
    """Show one delivery, or all those of a post or an attempt."""
    from exchange.commands import outbox

    found = with_database(loaded_settings(), lambda database: outbox.found(database, identifier))
    if as_json:
        print(outbox.as_json(found))
    else:
        outbox.tell(found, console)


@outbox_app.command("retry")
def retry(
    identifiers: Annotated[list[UUID] | None, typer.Argument(help="Ids of deliveries that were given up.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were given up.")] = False,
) -> None:
    """Have deliveries that were given up sent again, under the same ids."""
    from exchange.commands import outbox

    count = with_database(loaded_settings(), lambda database: outbox.retry(database, identifiers or [], every=every))
    console.print(f"{count} to be sent again.", highlight=False)
