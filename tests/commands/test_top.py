"""`exchange top`: what it makes of two readings, and of a gateway that runs."""

import re
from io import StringIO

import pytest
from rich.console import Console, RenderableType
from support.buyer import Buyer, bids
from support.commands import shell_on
from support.market import market
from support.world import World

from exchange.commands.top import BUYERS_SHOWN, Reading, read, view, watch
from exchange.errors import CommandError
from exchange.observe.registry import Registry
from exchange.observe.tables import CounterTable, GaugeTable, HistogramTable
from exchange.ports import free_port


def text_of(shown: RenderableType, width: int = 120) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(shown)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def shown(before: bytes, after: bytes, seconds: float, width: int = 120) -> str:
    return text_of(view(read(before.decode(), 10.0), read(after.decode(), 10.0 + seconds)), width)


def row(text: str, name: str) -> list[str]:
    """What stands to the right of a name."""
    found = re.search(rf"(?:^| ){re.escape(name)} {{2,}}(.*)$", text, re.MULTILINE)
    assert found is not None, text
    return re.split(" {2,}", found[1].strip())


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
    money.add(("a", "payout"), 25_010_000)
    for _ in range(20):
        answered.observe(0.05, ("quick",))
        answered.observe(0.3, ("slow",))
        answered.observe(7, ("hanging",))
    text = shown(before, registry.text(), 2)
    assert row(text, "pings")[:2] == ["3.0", "16"]
    assert row(text, "offers")[:2] == ["2.0", "14"]
    assert row(text, "gross")[:2] == ["15.00", "30.00"]
    assert row(text, "payout")[:2] == ["12.50", "25.01"]
    assert row(text, "quick")[:2] == ["10.0", "< 100 ms"]
    assert row(text, "hanging")[:2] == ["10.0", "more"]
    assert text.index("\nhanging ") < text.index("\nslow ") < text.index("\nquick ")


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
    assert "left alone (2): north.default pings (open), north.west posts (half open)" in text
    assert row(text, "paused endpoints") == ["3"]


def test_all_of_it_fits_on_a_small_terminal() -> None:
    """In the worst night: everything there is to say is said in 24 lines of 80 characters."""
    state = GaugeTable("exchange_breaker_state", "B", ["buyer", "endpoint", "phase"], over=max)
    paused = GaugeTable("exchange_endpoints_paused", "P", over=max)
    unknown = GaugeTable("exchange_attempts_unknown", "U", over=max)
    age = GaugeTable("exchange_attempts_unknown_age_seconds", "A", over=max)
    money = CounterTable("exchange_sales_micros", "M", ["campaign", "part"])
    answered = HistogramTable("exchange_buyer_ping_seconds", "B", ["buyer"], (0.1, 0.5))
    limits = CounterTable("exchange_limits_hit", "L", ["limit"])
    registry = Registry((state, paused, unknown, age, money, answered, limits), limits)
    before = registry.text()
    paused.set(3)
    unknown.set(12_345)
    age.set(36_000)
    money.add(("a", "gross"), 987_654_321_000_000)
    for number in range(20):
        state.set(2, (f"buyer-with-a-long-name-{number}", "default", "ping"))
        answered.observe(0.3, (f"buyer-with-a-long-name-{number}",))
    lines = shown(before, registry.text(), 2, width=80).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "left alone (20): buyer-with-a-long-name-0.default pings (open), " in text
    assert row(text, "gross")[:2] == ["493827160.50", "987654321.00"]
    assert text.count("< 500 ms") == BUYERS_SHOWN
    assert text.index("unknown attempts") < text.index("the oldest of them") < text.index("paused endpoints")


def test_a_gateway_that_is_away_for_a_moment_is_asked_again() -> None:
    pings = CounterTable("exchange_pings", "P", ["campaign", "status", "reason"])
    limits = CounterTable("exchange_limits_hit", "L", ["limit"])
    registry = Registry((pings, limits), limits)
    pings.add(("a", "offered", ""), 10)
    seen = [read(registry.text().decode(), at_s) for at_s in (10.0, 12.0)]
    pings.add(("a", "offered", ""), 8)
    seen.append(read(registry.text().decode(), 16.0))
    looks: list[Reading | CommandError] = [seen[1], CommandError("it does not answer: ConnectError"), seen[2]]

    def look() -> Reading:
        found = looks.pop(0)
        if isinstance(found, CommandError):
            raise found
        return found

    told = [text_of(item) for _, item in zip(range(3), watch(look, seen[0], lambda: None), strict=False)]
    assert row(told[0], "pings")[:2] == ["0.0", "10"]
    assert told[1].startswith("it does not answer: ConnectError; asked again ...\n")
    assert row(told[1], "pings")[:2] == ["0.0", "10"]
    assert row(told[2], "pings")[:2] == ["2.0", "18"]
    assert "does not answer" not in told[2]


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
