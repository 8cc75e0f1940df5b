"""Measures what pings and sales cost in Postgres: bytes of tables and of its log, rows, and CPU time, for each of both.

    python loadtests/storage_cost.py                     # --pings 20000, --sales 2000, --conns 16

Six buyers are asked for each ping. It fails if a ping is not offered, if a post is not accepted at its offer's price,
or if Postgres holds another number of pings or of posts than were sent.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil
from bench_kit import Failed as KitFailed
from bench_kit import Farm, build
from exchange_process import Exchange, Failed, own_exchange
from racing_posts import BUYERS, crossing
from sale_speed import BASE_PORT, STATES, offers, sell

LOOK = """
select pg_current_wal_lsn() - '0/0'::pg_lsn as log_bytes,
    sum(pg_total_relation_size(oid)) filter (where relname like 'pings%') as ping_bytes,
    sum(pg_total_relation_size(oid)) filter (where relname not like 'pings%') as other_bytes
from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'm')
"""


@dataclass(frozen=True)
class Used:
    """What has been used up so far."""

    log_bytes: float
    ping_bytes: float
    other_bytes: float
    gateway_s: float
    postgres_s: float

    def since(self, before: "Used", count: int) -> list[float]:
        """For each of so many."""
        names = ("log_bytes", "ping_bytes", "other_bytes", "gateway_s", "postgres_s")
        return [(getattr(self, name) - getattr(before, name)) / count for name in names]


async def used(connection: "asyncpg.Connection[asyncpg.Record]", server: psutil.Process) -> Used:
    await connection.execute("checkpoint")
    row = await connection.fetchrow(LOOK)
    assert row is not None
    gateways = [process for process in psutil.Process().children(recursive=True) if "serve" in process.cmdline()]
    log_bytes, ping_bytes, other_bytes = map(float, row.values())
    postgres_s = sum(map(cpu_s, [server, *server.children()]))
    return Used(log_bytes, ping_bytes, other_bytes, sum(map(cpu_s, gateways)), postgres_s)


def pid_of(file: Path) -> int:
    return int(file.read_text().split()[0])


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def run(exchange: Exchange, url: str, key: str, options: argparse.Namespace) -> list[list[float]]:
    """What a ping costs, and a sale beside its ping."""
    connection = await asyncpg.connect(exchange.services.postgres_url)
    server = psutil.Process(pid_of(exchange.folder / "data" / "postgres.pid"))
    try:
        await offers(url, key, STATES[:1], 500)  # warm
        start = await used(connection, server)
        await offers(url, key, STATES[:1], options.pings)
        pinged = await used(connection, server)
        made = await offers(url, key, STATES[:1], options.sales)
        offered = await used(connection, server)
        await sell(url, key, made, options.conns, None)
        sold = await used(connection, server)
        found = [await connection.fetchval(f"select count(*) from {table}") for table in ("pings", "posts")]  # noqa: S608
    finally:
        await connection.close()
    if found != [500 + options.pings + options.sales, options.sales]:
        raise Failed(f"Postgres holds {found[0]} pings and {found[1]} posts")
    return [pinged.since(start, options.pings), sold.since(offered, options.sales)]


def measure(options: argparse.Namespace) -> list[list[float]]:
    farm = Farm({0, 1}, base=BASE_PORT, count=BUYERS, max_seconds=7200)
    try:
        with own_exchange() as exchange:
            exchange.apply(crossing())
            key = exchange.new_key("acme")
            with exchange.serving("--no-worker") as url:
                return asyncio.run(run(exchange, url, key, options))
    finally:
        farm.stop()


def lines(found: list[list[float]]) -> Iterator[str]:
    yield "| a million of | log | tables of pings | other tables | CPU of gateways | CPU of Postgres |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, (log, pings, others, gateway_s, postgres_s) in zip(("pings", "sales, without pings"), found, strict=True):
        sizes = " | ".join(f"{value * 1e6 / 2**30:.2f} GiB" for value in (log, pings, others))
        yield f"| {name} | {sizes} | {gateway_s * 1e6:,.0f} s | {postgres_s * 1e6:,.0f} s |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pings", type=int, default=20_000)
    parser.add_argument("--sales", type=int, default=2_000)
    parser.add_argument("--conns", type=int, default=16, help="posts at a time")
    options = parser.parse_args()
    build([])
    try:
        print("\n".join(lines(measure(options))))
    except (Failed, KitFailed) as error:
        print(f"storage_cost: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
