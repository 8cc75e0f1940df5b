"""The commands about the market's past: its versions, and what other rules would have sold."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from exchange.commands.session import loaded_settings, with_database
from exchange.storage.database import Database

market_app = typer.Typer(help="The market's versions.", no_args_is_help=True)
console = Console(emoji=False)  # what somebody wrote is shown as he wrote it

Number = Annotated[int, typer.Argument(min=1, help="A version's number.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@market_app.command("log")
def log(limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 20) -> None:
    """List the newest versions: when, who, why, and how much changed."""
    from exchange.commands import versions

    found = with_database(loaded_settings(), lambda database: versions.log(database, limit))
    console.print(versions.log_table(found))


@market_app.command("diff")
def diff(before: Number, after: Number) -> None:
    """Show what leads from one version to another."""
    from exchange.commands import versions

    with_database(loaded_settings(), lambda database: versions.diff(database, before, after, console))


@market_app.command("rollback")
def rollback(
    number: Number,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    note: Annotated[str, typer.Option(help="Why, for the history.")] = "",
) -> None:
    """Make a new version that is as an old one was."""
    from exchange.commands import versions

    async def work(database: Database) -> int | None:
        return await versions.rollback(
            database, number, note=note, agreed=lambda: yes or typer.confirm("Apply?", abort=True), console=console
        )

    version = with_database(loaded_settings(), work)
    if version is not None:
        console.print(f"Market version {version} is in force.", highlight=False)


@market_app.command("show")
def show(
    number: Annotated[int | None, typer.Argument(min=1, help="A version's number; the one in force.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a version as a market file, its secrets covered."""
    from exchange.commands import versions

    print(with_database(loaded_settings(), lambda database: versions.text_of(database, number, as_json=as_json)))


@market_app.command("schema")
def schema() -> None:
    """Print the JSON Schema of the market file, for editors."""
    from exchange.marketfile import schema as market_schema

    print(market_schema.text())


def backtest(
    market: Annotated[Path, typer.Option(help="A market file with the other rules.")],
    since: Annotated[str, typer.Option(help="How far back, as 7d, 12h or 30m.")] = "7d",
    campaign: Annotated[str | None, typer.Option(help="Only this campaign's pings.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000_000, help="How many pings at most, oldest first.")
    ] = 1_000_000,
    as_json: AsJson = False,
) -> None:
    """Say what past pings would have brought under other rules."""
    from exchange.commands import backtest as backtest_command

    rules = backtest_command.read_rules(market, campaign)
    wish = backtest_command.Wish(backtest_command.started_at(since), campaign, limit)
    found = with_database(loaded_settings(), lambda database: backtest_command.run(database, rules, wish))
    if as_json:
        print(backtest_command.as_json(found))
    else:
        backtest_command.show(found, console)
