"""The commands about endpoints that are left alone: which, why, and asking them again."""

from typing import Annotated

import typer
from rich.console import Console

from exchange.commands.session import loaded_settings, with_database

breaker_app = typer.Typer(help="Buyers' endpoints that are left alone because they failed.", no_args_is_help=True)
console = Console(emoji=False)  # what somebody wrote is shown as he wrote it

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@breaker_app.command("list")
def list_breakers(as_json: AsJson = False) -> None:
    """List endpoints that are paused, and breakers that are open or half open, with the reason."""
    from exchange.commands import breakers

    found = with_database(loaded_settings(), breakers.listed)
    if as_json:
        print(breakers.as_json(found))
    else:
        console.print(breakers.table(found))


@breaker_app.command("reset")
def reset(
    buyer: Annotated[str, typer.Argument(help="The buyer.")],
    endpoint: Annotated[str | None, typer.Option(help="One of his endpoints; without it all of them.")] = None,
) -> None:
    """End a pause, and close the breakers of a buyer in every gateway, within two seconds."""
    from exchange.commands import breakers

    names = with_database(loaded_settings(), lambda database: breakers.reset(database, buyer, endpoint))
    console.print(f"Reset: {', '.join(f'{buyer}.{name}' for name in names)}.", highlight=False)
