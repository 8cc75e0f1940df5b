"""The commands about queued leads: which wait for a buyer, why they were not sold each time, and ending their wait."""

from typing import Annotated, Literal
from uuid import UUID

import typer
from rich.console import Console

from exchange.commands.session import loaded_settings, with_database

queue_app = typer.Typer(help="Leads that wait for a buyer.", no_args_is_help=True)
console = Console(emoji=False)  # what somebody wrote is shown as he wrote it

State = Literal["waiting", "posted", "ended", "all"]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@queue_app.command("list")
def list_leads(
    state: Annotated[State, typer.Option(help="Which ones.")] = "waiting",
    campaign: Annotated[str | None, typer.Option(help="Of one campaign.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List queued leads: those that wait, unless told otherwise."""
    from exchange.commands import queue

    found = with_database(loaded_settings(), lambda database: queue.listed(database, state, campaign, limit))
    if as_json:
        print(queue.as_json(found))
    else:
        console.print(queue.table(found))


@queue_app.command("show")
def show(
    identifier: Annotated[UUID, typer.Argument(help="The id of a post, or of a ping that was run for it.")],
    as_json: AsJson = False,
) -> None:
    """Show one queued lead, and each ping that was run for it in vain."""
    from exchange.commands import queue

    found, runs = with_database(loaded_settings(), lambda database: queue.found(database, identifier))
    if as_json:
        print(queue.one_as_json(found, runs))
    else:
        queue.tell(found, runs, console)


@queue_app.command("drop")
def drop(
    identifiers: Annotated[list[UUID], typer.Argument(help="Ids of posts that wait.")],
    note: Annotated[str, typer.Option(help="Why, for the record.")] = "dropped by an operator",
) -> None:
    """End the wait of queued leads: they are rejected, and their sellers told so."""
    from exchange.commands import queue

    count = with_database(loaded_settings(), lambda database: queue.drop(database, identifiers, note))
    console.print(f"{count} dropped.", highlight=False)
