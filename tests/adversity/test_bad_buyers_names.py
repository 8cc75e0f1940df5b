"""Names and addresses of buyers: looked up in the background, checked, and connected to as they were checked."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from misbehaviour import BadBuyer, bid, keeps_saying
from ping_engine import NO_TRUST, Engine, engine, eventually

from exchange.buyers import resolver
from exchange.buyers.calls import NOT_CONNECTED
from exchange.buyers.fanout import Fanout
from exchange.buyers.limits import Limits
from exchange.buyers.resolver import NAME_NOT_FOUND, NAME_NOT_IN_TIME, NOT_PUBLIC, Address
from exchange.values.bid import Bid
from exchange.values.deadline import Deadline

TEN = Bid(10_000_000)
LIMITS = Limits(name_fresh_s=0.05, name_retry_s=0.01, name_wait_s=0.2, idle_s=0.01, sweep_s=0.01)


class Names:
    """The names of this world, and how often each was looked up."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def resolve(self, host: str, port: int) -> tuple[Address, ...]:
        self.asked.append(host)
        await self.may_answer.wait()
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return tuple(Address(socket.AF_INET, (address, port)) for address in self.known[host])


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    found = Names()
    monkeypatch.setattr(resolver, "resolve", found.resolve)
    return found


@pytest.fixture
async def asking() -> AsyncIterator[Engine]:
    async with engine(LIMITS) as opened:
        yield opened


def named(buyer: BadBuyer, name: str = "buyer.test") -> str:
    return f"http://{name}:{buyer.port}/bid"


async def test_a_name_is_looked_up_once_for_many_calls(asking: Engine, names: Names) -> None:
    names.known["buyer.test"] = ["127.0.0.1"]
    async with BadBuyer(keeps_saying(bid())) as buyer:
        asked = await asking.fanout.ask([asking.call(named(buyer)) for _ in range(20)], Deadline.after_ms(5_000))
        assert {one.reply for one in asked} == {TEN}
        assert b"\r\nHost: buyer.test:%d\r\n" % buyer.port in buyer.requests[0]
    assert names.asked == ["buyer.test"]


async def test_a_name_that_nobody_has(asking: Engine, names: Names) -> None:
    async with BadBuyer(keeps_saying(bid())) as good:
        assert [one.reply for one in await asking.ask(named(good), good)] == [NAME_NOT_FOUND, TEN]
        names.known["buyer.test"] = ["127.0.0.1"]
        await asyncio.sleep(LIMITS.name_retry_s)
        assert (await asking.ask(named(good)))[0].reply == TEN


async def test_a_lookup_that_takes_too_long(asking: Engine, names: Names) -> None:
    names.known["buyer.test"] = ["127.0.0.1"]
    names.may_answer.clear()
    async with BadBuyer(keeps_saying(bid())) as good:
        assert (await asking.ask(named(good), timeout_ms=20))[0].reply == NOT_CONNECTED
        assert [one.reply for one in await asking.ask(named(good), good)] == [NAME_NOT_IN_TIME, TEN]
        names.may_answer.set()
        assert (await asking.ask(named(good)))[0].reply == TEN
    assert names.asked == ["buyer.test"]


async def test_the_last_good_address_serves_while_looking_it_up_again_fails(asking: Engine, names: Names) -> None:
    names.known["buyer.test"] = ["127.0.0.1"]
    async with BadBuyer(keeps_saying(bid())) as buyer:
        assert (await asking.ask(named(buyer)))[0].reply == TEN
        del names.known["buyer.test"]
        for _ in range(3):
            await asyncio.sleep(LIMITS.name_fresh_s)
            await eventually(lambda: asking.fanout.stats().open == 0)
            assert (await asking.ask(named(buyer)))[0].reply == TEN
    assert len(names.asked) > 1


async def test_a_new_address_is_used_for_new_connections(asking: Engine, names: Names) -> None:
    names.known["buyer.test"] = ["127.0.0.1"]
    async with BadBuyer(keeps_saying(bid())) as buyer:
        assert (await asking.ask(named(buyer)))[0].reply == TEN
        names.known["buyer.test"] = ["127.0.0.2"]  # where nobody listens
        await asyncio.sleep(LIMITS.name_fresh_s)
        await eventually(lambda: asking.fanout.stats().open == 0)
        assert (await asking.ask(named(buyer)))[0].reply == TEN
        await eventually(lambda: len(names.asked) == 2 and asking.fanout.stats().open == 0)
        assert (await asking.ask(named(buyer)))[0].reply != TEN


async def test_the_second_address_is_tried_and_then_comes_first(asking: Engine, names: Names) -> None:
    names.known["buyer.test"] = ["127.0.0.2", "127.0.0.1", "127.0.0.3"]
    async with BadBuyer(keeps_saying(bid())) as buyer:
        for _ in range(3):
            assert (await asking.ask(named(buyer)))[0].reply == TEN
            await eventually(lambda: asking.fanout.stats().open == 0)
    pool = asking.line(named(buyer)).pool
    assert pool is not None
    assert pool._dialler._turn == 1


async def test_a_name_that_dns_cannot_hold() -> None:
    async with engine() as asking:
        [asked] = await asking.ask(f"http://{'a' * 64}.test/bid")
        assert asked.reply == NAME_NOT_FOUND


async def test_the_real_lookup_finds_this_machine() -> None:
    async with engine() as asking, BadBuyer(keeps_saying(bid())) as buyer:
        assert (await asking.ask(named(buyer, "localhost")))[0].reply == TEN


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "[64:ff9b::7f00:1]", "0x7f.1"]
)
async def test_a_private_address_is_refused(host: str) -> None:
    assert await refused(lambda port: f"http://{host}:{port}/bid")


@pytest.mark.parametrize("found", [["127.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["169.254.169.254"]])
async def test_a_name_with_a_private_address_is_refused(names: Names, found: list[str]) -> None:
    names.known["buyer.test"] = found
    assert await refused(lambda port: f"http://buyer.test:{port}/bid")


async def refused(url: Callable[[int], str]) -> bool:
    """Whether a buyer is refused by an exchange that allows no private addresses, and not connected to."""
    fanout = Fanout(allow_private=False, tls=NO_TRUST)
    async with BadBuyer(keeps_saying(bid())) as buyer:
        asking = Engine(fanout)
        try:
            [asked] = await asking.ask(url(buyer.port))
        finally:
            await fanout.close()
        return asked.reply == NOT_PUBLIC and buyer.connections == 0


async def test_a_name_that_turns_private_is_refused_from_then_on(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    names.known["buyer.test"] = ["127.0.0.1"]
    monkeypatch.setattr(resolver, "is_public", lambda address: address == "127.0.0.1")
    fanout = Fanout(allow_private=False, limits=LIMITS, tls=NO_TRUST)
    asking = Engine(fanout)
    try:
        async with BadBuyer(keeps_saying(bid())) as buyer:
            assert (await asking.ask(named(buyer)))[0].reply == TEN
            names.known["buyer.test"] = ["127.0.0.1", "10.0.0.1"]
            await asyncio.sleep(LIMITS.name_fresh_s)
            await eventually(lambda: fanout.stats().open == 0)
            await asking.ask(named(buyer))
            await eventually(lambda: len(names.asked) >= 2 and fanout.stats().open == 0)
            assert (await asking.ask(named(buyer)))[0].reply == NOT_PUBLIC
    finally:
        await fanout.close()


async def test_closing_does_not_wait_for_a_lookup(names: Names) -> None:
    names.may_answer.clear()
    async with engine() as asking, BadBuyer(keeps_saying(bid())) as buyer:
        assert (await asking.ask(named(buyer), timeout_ms=20))[0].reply == NOT_CONNECTED
        assert names.asked == ["buyer.test"]
