"""The command line: reads the words, calls what does the work, and says in one line what went wrong."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exchange import cli_breakers, cli_buyers, cli_market, cli_outbox, cli_processes, cli_queue, errors, settings
from exchange.commands.session import loaded_settings, services, with_database
from exchange.ports import free_port
from exchange.storage import accounts, keys
from exchange.storage import migrate as migrations
from exchange.storage.database import Database
from exchange.values.money import format_amount, parse_amount

app = typer.Typer(
    help="An open ping-post lead exchange.", no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)
keys_app = typer.Typer(help="Keys of sellers and operators.", no_args_is_help=True)
balance_app = typer.Typer(help="Buyers' balances.", no_args_is_help=True)
simulate_app = typer.Typer(help="Simulated buyers for tests and load.", no_args_is_help=True)
app.add_typer(simulate_app, name="simulate")
app.add_typer(keys_app, name="keys")
app.add_typer(balance_app, name="balance")
attempts_app = typer.Typer(help="Attempts whose outcome is unknown.", no_args_is_help=True)
returns_app = typer.Typer(help="Sales that buyers dispute.", no_args_is_help=True)
app.add_typer(attempts_app, name="attempts")
app.add_typer(returns_app, name="returns")
app.add_typer(cli_market.market_app, name="market")
app.add_typer(cli_outbox.outbox_app, name="outbox")
app.add_typer(cli_queue.queue_app, name="queue")
app.add_typer(cli_buyers.buyer_app, name="buyer")
app.add_typer(cli_breakers.breaker_app, name="breaker")
app.command()(cli_market.backtest)
app.command()(cli_buyers.check)
for command in (cli_processes.serve, cli_processes.worker, cli_processes.top):
    app.command()(command)
app.command(hidden=True)(cli_processes.gateway)

console = Console(emoji=False)  # what somebody wrote is shown as he wrote it

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Kind = Literal["buyer", "seller", "exchange"]
Word = Literal["accepted", "rejected"]
SlowMs = Annotated[int, typer.Option(min=0, max=60_000, help="How much longer each buyer takes to answer, in ms.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def demo(
    pings: Annotated[int | None, typer.Option(min=1, help="Leads to send; without it, no end.")] = None,
    leave: Annotated[bool, typer.Option("--exit", help="End by itself after --pings.")] = False,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of the API; 8000, or a free one.")] = None,
    rate: Annotated[float, typer.Option(min=0.1, max=200, help="Pings a second.")] = 12.0,
    seed: Annotated[int, typer.Option(help="Same seed, same people and moods.")] = 1,
    slow_ms: SlowMs = 0,
    with_prometheus: Annotated[bool, typer.Option("--with-prometheus", help="Also start Prometheus.")] = False,
) -> None:
    """Run an example market on this machine, with buyers, sellers and live auctions."""
    from exchange.commands import demo as demo_command

    if leave and pings is None:
        _usage("--exit needs --pings")
    wish = demo_command.Wish(pings, leave, port or free_port(8000), seed, rate, slow_ms, with_prometheus)
    if not demo_command.run(_settings(), wish, console):
        raise typer.Exit(1)


@simulate_app.command("buyers")
def simulate_buyers(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The first buyer's port.")] = 9101,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 40,
    seed: Annotated[int, typer.Option(help="Same seed, same answers to the same ids.")] = 1,
    log_dir: Annotated[Path | None, typer.Option(help="Where each buyer keeps a log.")] = None,
    slow_ms: SlowMs = 0,
) -> None:
    """Run a farm of native buyers, one a port, until Ctrl-C."""
    from exchange.simulation import buyers, manners

    console.print(
        f"Each answers {f'after {slow_ms} ms' if slow_ms else 'at once'}; "
        "number i, from 0, bids 5.00 + 0.40 x i and accepts every post.",
        highlight=False,
    )
    try:
        buyers.run(manners.slower(manners.farm_buyers(count), slow_ms), port=port, seed=seed, log_dir=log_dir)
    except OSError as error:
        _fail(f"the simulated buyers cannot start: {error}")


@simulate_app.command("chaos")
def simulate_chaos(
    minutes: Annotated[float, typer.Option(min=0.1, max=1440, help="How long the exchange is under fire.")] = 1.0,
    seconds: Annotated[float | None, typer.Option(min=5, max=86_400, help="The same in seconds.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same people, moods and faults; new if left out.")] = None,
    gateways: Annotated[int, typer.Option(min=1, max=16, help="Gateway processes.")] = 2,
    folder: Annotated[Path | None, typer.Option(help="An empty folder that is kept, with every log.")] = None,
) -> None:
    """Put a market under fire on this machine, then compare three witnesses."""
    from exchange.commands import chaos

    if not chaos.simulate(console, seconds=seconds or minutes * 60, seed=seed, gateways=gateways, folder=folder):
        raise typer.Exit(1)


@app.command()
def migrate(status: Annotated[bool, typer.Option("--status", help="Only show what is applied.")] = False) -> None:
    """Bring the database's schema up to date."""
    folder = migrations.migrations_folder()
    with services(_settings()) as lease:
        url = lease.services.postgres_url
        if status:
            for item, is_applied in asyncio.run(migrations.status(url, folder)):
                console.print(f"{'applied' if is_applied else 'pending'}  {item}", highlight=False)
            return
        applied = asyncio.run(migrations.migrate(url, folder))
    for item in applied:
        console.print(f"applied  {item}", highlight=False)
    if not applied:
        console.print("The schema is up to date.")


@app.command()
def apply(
    file: Annotated[Path, typer.Argument(help="The market file.")],
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the difference.")] = False,
    note: Annotated[str, typer.Option(help="Why, for the history.")] = "",
) -> None:
    """Show what a market file would change, then change it."""
    from exchange.commands import market as market_command

    document, market = market_command.read_file(file)

    async def work(database: Database) -> int | None:
        return await market_command.apply(
            database, document, market, note=note, agreed=lambda: yes or _agreed(dry_run=dry_run), console=console
        )

    version = with_database(_settings(), work)
    if version is not None and not dry_run:
        console.print(f"Market version {version} is in force.", highlight=False)


@app.command()
def explain(
    ping_id: Annotated[UUID, typer.Argument(help="The ping's id.")],
    replay: Annotated[bool, typer.Option("--replay", help="Run its auction again, and compare.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say why a ping sold to whom it did, or to nobody."""
    from exchange.commands import explain as explain_command

    found = with_database(_settings(), lambda database: explain_command.explain(database, ping_id, again=replay))
    if as_json:
        print(explain_command.as_json(found))
    else:
        explain_command.show(found, console, again=replay)
    if found.replay is not None and not found.replay.is_same:
        raise typer.Exit(1)


@app.command()
def doctor() -> None:
    """Check configuration, connections and the money."""
    from exchange.commands import doctor as doctor_command

    loaded = _settings()
    with services(loaded) as lease:
        findings = asyncio.run(doctor_command.examine(loaded, lease.services))
    if not doctor_command.show(findings, console):
        raise typer.Exit(1)


@app.command()
def ledger(
    kind: Annotated[Kind, typer.Argument(help="Whose account.")],
    owner: Annotated[str, typer.Argument(help="Key of the buyer or seller; the exchange has bank, clearing, margin.")],
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many lines.")] = 50,
) -> None:
    """Show the newest lines of an account."""
    from exchange.commands import records

    found = with_database(_settings(), lambda database: records.account_lines(database, kind, owner, limit))
    console.print(records.lines_table(found))


@app.command()
def erase(identifier: Annotated[UUID, typer.Argument(help="The post's id, or its ping's.")]) -> None:
    """Destroy a lead's key and fingerprints; its records and money stay."""
    from exchange.commands import records

    with_database(_settings(), lambda database: records.erase_lead(database, identifier, console))


@app.command("settings")
def list_settings() -> None:
    """List every setting, its default and its meaning."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("variable", "default", "meaning"):
        table.add_column(name, overflow="fold")
    for name, field in settings.Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        table.add_row(f"{settings.PREFIX}{name.upper()}", default, escape(field.description or ""))
    console.print(table)


@keys_app.command("create")
def create_key(
    seller: Annotated[str | None, typer.Option(help="The seller it speaks for.")] = None,
    role: Annotated[str, typer.Option(help="seller or operator.")] = "seller",
    as_json: AsJson = False,
) -> None:
    """Make a key and print it once."""
    if role not in {"seller", "operator"}:
        _usage(f"--role is seller or operator, not {role}")
    if (role == "seller") != (seller is not None):
        _usage("a seller's key needs --seller; an operator's has none")

    from exchange.commands import market

    async def work(database: Database) -> str:
        await market.check_seller(database, seller)
        return await keys.create(database, role=role, seller=seller)

    key = with_database(_settings(), work)
    print(json.dumps({"key": key}) if as_json else key)


@keys_app.command("list")
def list_keys() -> None:
    """List all keys, without their secrets."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("key", "role", "seller", "created", "revoked"):
        table.add_column(name)
    for item in with_database(_settings(), keys.list_all):
        revoked = "" if item.revoked_at is None else f"{item.revoked_at:%Y-%m-%d %H:%M}"
        table.add_row(item.key_id, item.role, item.seller or "", f"{item.created_at:%Y-%m-%d %H:%M}", revoked)
    console.print(table)


@keys_app.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="The key's public half, or the whole key.")]) -> None:
    """End a key; it stops working everywhere within five seconds."""
    if not with_database(_settings(), lambda database: keys.revoke(database, key_id)):
        _fail("there is no such living key")
    console.print("Revoked.")


@balance_app.command("add")
def add_balance(
    buyer: str,
    amount: Annotated[str, typer.Argument(help='As "500.00".')],
    note: Annotated[str, typer.Option(help="Where the money came from.")] = "",
) -> None:
    """Credit a buyer with a deposit."""
    micros = parse_amount(amount)
    if not micros:
        _usage(f"{amount!r} is no amount above 0 of at most 12 digits before the point and 6 after it, such as 500.00")

    from exchange.commands import market, records

    async def work(database: Database) -> accounts.Standing:
        return await records.deposit(database, buyer, await market.currency(database), micros, note)

    console.print(records.standings_table([with_database(_settings(), work)]))


@balance_app.command("show")
def show_balance(buyer: Annotated[str | None, typer.Argument()] = None) -> None:
    """Show what a buyer, or every buyer, has and can spend."""
    from exchange.commands import records

    found = with_database(_settings(), accounts.standings)
    if buyer is not None and buyer not in {item.owner for item in found}:
        _fail(f"there is no buyer {buyer}")
    console.print(records.standings_table([item for item in found if buyer in {None, item.owner}]))


@attempts_app.command("list")
def list_attempts(as_json: AsJson = False) -> None:
    """List attempts that are unknown, oldest first."""
    from exchange.commands import records

    found = with_database(_settings(), records.unknown_attempts)
    if as_json:
        print(records.attempts_json(found))
    else:
        console.print(records.attempts_table(found))


@attempts_app.command("resolve")
def resolve_attempt(
    attempt_id: UUID,
    verdict: Annotated[Word, typer.Argument(help="What the buyer did.")],
    note: Annotated[str, typer.Option(help="How that is known; kept with the attempt.")],
) -> None:
    """Say what became of an unknown attempt, or correct what was presumed."""
    from exchange.commands import records

    is_accepted = verdict == "accepted"
    found = with_database(
        _settings(),
        lambda database: records.resolve_attempt(database, attempt_id, accepted=is_accepted, note=note),
    )
    console.print(records.resolved_line(found), highlight=False, soft_wrap=True)


@returns_app.command("add")
def add_return(
    post_id: UUID,
    reason: Annotated[str, typer.Option(help="Why, such as wrong_number.")],
    note: Annotated[str, typer.Option(help="More for the record.")] = "",
    leg: Annotated[int | None, typer.Option(help="Only this leg of a shared sale.", min=1)] = None,
) -> None:
    """Credit the buyer of a lead and take the payout back from its seller; of a shared lead all its buyers."""
    from exchange.commands import records

    done = with_database(_settings(), lambda database: records.return_sale(database, post_id, reason, note, leg))
    for taken in done:
        gross, payout = format_amount(taken.gross_micros), format_amount(taken.payout_micros)
        line = f"Returned: {gross} {taken.currency} to {taken.buyer}, {payout} from {taken.seller}."
        console.print(line, highlight=False, soft_wrap=True)


def main() -> None:
    """Runs a command; an expected failure is one line on standard error and exit status 1."""
    try:
        app()
    except errors.MarketFileError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        count = len(error.problems)
        print(f"exchange: {count} problem{'s' if count > 1 else ''} in the market file; nothing was changed",
              file=sys.stderr)  # fmt: skip
        sys.exit(1)
    except errors.ExchangeError as error:
        _fail(str(error))


def _settings() -> settings.Settings:
    return loaded_settings()


def _agreed(*, dry_run: bool) -> bool:
    return not dry_run and typer.confirm("Apply?", abort=True)


def _usage(text: str) -> NoReturn:
    raise typer.BadParameter(text)


def _fail(text: str) -> NoReturn:
    print(f"exchange: {text}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
