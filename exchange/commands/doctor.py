"""`exchange doctor`: whether configuration, connections and money are in order."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from exchange.embedded.lease import Services
from exchange.errors import ExchangeError
from exchange.marketfile.reader import read
from exchange.marketfile.secrets import references
from exchange.settings import Settings, master_key, secret_environment
from exchange.storage import catalogue, invariants, valkey
from exchange.storage.database import Database
from exchange.storage.migrate import check_schema, migrations_folder


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `trouble` is empty where it is in order."""

    name: str
    trouble: str = ""
    note: str = ""


async def examine(settings: Settings, given: Services) -> list[Finding]:
    """Looks at everything; a check that cannot be made is trouble, and does not stop the others."""
    findings = [
        await _look("master key", lambda: _key(settings)),
        await _look("schema", lambda: _schema(given)),
        await _look("Valkey", lambda: _valkey(given)),
    ]
    try:
        database = await Database.connect(given.postgres_url, connections_max=2, timeout_s=10, name="doctor")
    except ExchangeError as error:
        return [*findings, Finding("Postgres", str(error))]
    try:
        findings.append(await _look("market", lambda: _market(database)))
        if not findings[1].trouble:
            findings += [_money(item) for item in await invariants.check(database)]
    finally:
        await database.close()
    return findings


def show(findings: list[Finding], console: Console) -> bool:
    """Prints a line for each finding; True where all is in order."""
    for finding in findings:
        mark = "[red]wrong[/]" if finding.trouble else "[green]ok   [/]"
        detail = finding.trouble or finding.note
        console.print(f"{mark} {escape(finding.name)}" + (f": {escape(detail)}" if detail else ""), highlight=False)
    return not any(finding.trouble for finding in findings)


async def _look(name: str, check: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(name, note=await check())
    except (ExchangeError, *valkey.TROUBLE) as error:
        return Finding(name, trouble=str(error) or type(error).__name__)


async def _key(settings: Settings) -> str:
    master_key(settings)
    return "set" if settings.master_key else f"in {settings.data_dir}"


async def _schema(given: Services) -> str:
    await check_schema(given.postgres_url, migrations_folder())
    return "up to date"


async def _valkey(given: Services) -> str:
    client = valkey.Valkey(given.valkey_url)
    try:
        return await client.describe()
    finally:
        await client.close()


async def _market(database: Database) -> str:
    found = await catalogue.newest(database)
    if found is None:
        return "none applied yet"
    market = read(found.document)
    missing = sorted({name for _, name in references(market) if name not in secret_environment()})
    unset = f"; not set here: {', '.join(missing)}" if missing else ""
    return f"version {found.version} with {len(market.orders)} orders{unset}"


def _money(item: invariants.Finding) -> Finding:
    return Finding(item.name, trouble=f"broken by {item.broken} rows" if item.broken else "")
