"""`exchange top`: what it makes of two readings, and of a gateway that runs."""

from io import StringIO

import pytest
from rich.console import Console
from support.buyer import Buyer, bids
from support.commands import shell_on
from support.market import market
from support.world import World

from exchange.commands.top import read, view
from exchange.observe.registry import Registry
from exchange.observe.tables import CounterTable, GaugeTable, HistogramTable
from exchange.ports import free_port


def shown(before: bytes, after: bytes, seconds: float) -> str:
    console = Console(file=StringIO(), width=120)
    console.print(view(read(before.decode(), 10.0), read(after.decode(), 10.0 + seconds)))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def row(text: str, name: str) -> list[str]:
    """The cells of the row that begins with a name."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if "│" in line]
    return next(cells for cells in rows if cells[0] == name)[1:]


def test_rates_are_of_the_time_between_and_sums_of_all_campaigns() -> None:
    pings = CounterTable("exchange_pings", "P", ["campaign", "status", "reason"])
    money = CounterTable("exchange_sales_micros", "M", ["campaign", "part"])
    answered = HistogramTable("exchange_buyer_ping_seconds", "B", ["buyer"], (0.1, 0.5))
    limits = CounterTable("exchange_limits_hit", "L", ["limit"])
    registry = Registry((pings, money, answered, limits), limits)
    pings.add(("a", "offered", ""), 10)
    answered.observe(0.05, ("quick",))
    before = registry.text()
    pings.add(("a", "offered", ""), 4)
    pings.add(("b", "unsold", "no_bids"), 2)
    money.add(("a", "gross"), 30_000_000)
    for _ in range(20):
        answered.observe(0.05, ("quick",))
        answered.observe(0.3, ("slow",))
        answered.observe(7, ("hanging",))
    text = shown(before, registry.text(), 2)
    assert row(text, "pings") == ["3.0", "16"]
    assert row(text, "offers") == ["2.0", "14"]
    assert row(text, "gross") == ["15.00", "30.00"]
    assert row(text, "quick")[:2] == ["10.0", "< 100 ms"]
    assert row(text, "hanging")[:2] == ["10.0", "more"]
    assert text.index("hanging") < text.index("slow") < text.index("quick")


def test_breakers_that_are_not_closed_are_named() -> None:
    state = GaugeTable("exchange_breaker_state", "B", ["buyer", "endpoint", "phase"], over=max)
    paused = GaugeTable("exchange_endpoints_paused", "P", over=max)
    limits = CounterTable("exchange_limits_hit", "L", ["limit"])
    registry = Registry((state, paused, limits), limits)
    state.set(0, ("well", "default", "ping"))
    before = registry.text()
    assert "left alone" not in shown(before, before, 2)
    state.set(2, ("north", "default", "ping"))
    state.set(1, ("north", "west", "post"))
    paused.set(3)
    text = shown(before, registry.text(), 2)
    assert row(text, "left alone") == ["", "north.default pings (open), north.west posts (half open)"]
    assert row(text, "paused endpoints") == ["", "3"]


async def test_it_watches_a_gateway(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    shell = shell_on(world.services, tmp_path_factory.mktemp("shell"))
    async with Buyer(bids("21.00")) as buyer:
        await world.apply(market({"only": buyer}))
        await world.post((await world.ping())["ping_id"])
        done = await shell.run("top", "--url", str(world.client.base_url), "--every", "0.2", "--once")
    assert done.status == 0, done.err
    assert int(row(done.out, "sales")[1]) >= 1
    assert float(row(done.out, "payout")[1].replace(",", "")) >= 17.85


async def test_a_gateway_that_is_not_there_is_said_in_one_line(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shell = shell_on(world.services, tmp_path_factory.mktemp("shell"))
    url = f"http://127.0.0.1:{free_port()}"
    done = await shell.run("top", "--url", url, "--once")
    assert (done.status, done.err.strip()) == (1, f"exchange: {url} does not answer: ConnectError")
