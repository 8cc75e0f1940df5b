"""Measures what asking buyers costs: CPU time per buyer call of the ping engine alone, every outcome checked.

    python loadtests/fanout_speed.py                          # 10 buyers a ping, who answer at once
    python loadtests/fanout_speed.py --think-ms 50 --concurrency 128
    python loadtests/fanout_speed.py --new-heads              # no two answers with the same head
    python loadtests/fanout_speed.py --profile 30             # the 30 dearest functions, by cProfile

The buyers run in a process of their own. CPU time is that of the asking process alone, user and kernel. Machines change
their speed under one's hands, so each round of pings is followed by one of bare sockets, which send and receive as much
and look at nothing: what the engine adds to them says more than the figures, and the best rounds more than the mean.
"""

import argparse
import asyncio
import cProfile
import itertools
import os
import pstats
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import cast

import uvloop

from exchange.buyers.calls import Call
from exchange.buyers.dialects import native
from exchange.buyers.fanout import Fanout
from exchange.buyers.line import Line
from exchange.values.bid import Bid
from exchange.values.deadline import Deadline
from exchange.values.ids import uuid7
from exchange.values.market import Sale
from exchange.values.vertical import Lead

HOST = "127.0.0.1"
LEAD: Lead = {f"field_{index:02d}": f"value-{index:04d}" for index in range(18)} | {"zip": "60601", "state": "IL"}
MICROS_PER_CENT = 10_000

Ask = Callable[[], Coroutine[None, None, None]]
"""Asks all buyers once."""


@dataclass(frozen=True)
class Options:
    fanout: int
    pings: int
    rounds: int
    concurrency: int
    think_ms: float
    new_heads: bool
    port: int
    profile: int
    serve: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fanout", type=int, default=10, help="buyers asked for each ping")
    parser.add_argument("--pings", type=int, default=1_000, help="pings of each round")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--concurrency", type=int, default=32, help="pings under way at a time")
    parser.add_argument("--think-ms", type=float, default=0, help="how long each buyer takes")
    parser.add_argument("--new-heads", action="store_true", help="buyers send a header that is never the same")
    parser.add_argument("--port", type=int, default=0, help="the first port of buyers that run already")
    parser.add_argument("--profile", type=int, default=0, metavar="LINES")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = Options(**vars(parser.parse_args()))
    uvloop.run(serve(options) if options.serve else measure(options))


async def measure(options: Options) -> None:
    """Asks with the engine and with bare sockets, in turns, and prints what each cost."""
    async with AsyncExitStack() as stack:
        if options.port:
            ports = list(range(options.port, options.port + options.fanout))
        else:
            ports = await stack.enter_async_context(farm(*sys.argv[1:]))
        fanout = Fanout(allow_private=True)
        stack.push_async_callback(fanout.close)
        lines = [prepared(fanout, f"order-{index}", port) for index, port in enumerate(ports)]
        engine: list[Ask] = [partial(ask, fanout, lines, ping_body())] * options.concurrency
        bare = [await BareAsker.connected(lines, ports) for _ in range(options.concurrency)]
        await run(engine, options.pings)
        profile = cProfile.Profile() if options.profile else None
        engine_s, bare_s = [], []
        for _ in range(options.rounds):
            if profile:
                profile.enable()
            engine_s.append(await run(engine, options.pings))
            if profile:
                profile.disable()
            bare_s.append(await run([asker.ask for asker in bare], options.pings))
        report(options, engine_s, bare_s)
        print(fanout.stats())
        if profile:
            pstats.Stats(profile).sort_stats("tottime").print_stats(options.profile)


def report(options: Options, engine_s: Sequence[tuple[float, float]], bare_s: Sequence[tuple[float, float]]) -> None:
    calls = options.pings * options.fanout
    engine_us, bare_us = ([cpu_s * 1e6 / calls for cpu_s, _ in rounds] for rounds in (engine_s, bare_s))
    pings_s = [options.pings / clock_s for _, clock_s in engine_s]
    print(f"CPU us a call   best {min(engine_us):7.2f}   median {median(engine_us):7.2f}")
    print(f"  bare sockets  best {min(bare_us):7.2f}   median {median(bare_us):7.2f}")
    ping_ms = [options.fanout * call_us / 1000 for call_us in engine_us]
    print(f"CPU ms a ping   best {min(ping_ms):7.3f}   median {median(ping_ms):7.3f}   of {options.fanout} buyers")
    print(f"pings/s         best {max(pings_s):7.0f}   median {median(pings_s):7.0f}")


async def run(askers: Sequence[Ask], pings: int) -> tuple[float, float]:
    """Sends `pings` pings, as many at a time as there are askers; the seconds of CPU and of the clock it took."""
    left = iter(range(pings))

    async def work(ask_once: Ask) -> None:
        for _ in left:
            await ask_once()

    cpu_s, clock_s = time.process_time(), time.monotonic()
    await asyncio.gather(*map(work, askers))
    return time.process_time() - cpu_s, time.monotonic() - clock_s


def prepared(fanout: Fanout, order: str, port: int) -> Line:
    return fanout.line(order, f"http://{HOST}:{port}/bid", native.ping_headers(order), native.TIMEOUT_HEADER)


def ping_body() -> bytes:
    return native.ping_body(
        ping_id=uuid7(),
        campaign="auto-us",
        vertical="auto_insurance",
        test=False,
        currency="USD",
        floor_micros=5_000_000,
        sale=Sale.EXCLUSIVE,
        lead=LEAD,
    )


async def ask(fanout: Fanout, lines: Sequence[Line], body: bytes) -> None:
    """Asks as the exchange does, and checks that each buyer's own price came back."""
    read = native.bid_reader(sale=Sale.EXCLUSIVE, currency="USD")
    found = await fanout.ask([Call(line, body, 5_000, read) for line in lines], Deadline.after_ms(9_000))
    for index, asked in enumerate(found):
        assert isinstance(asked.reply, Bid), asked
        assert asked.reply.gross_micros == price_cents(index) * MICROS_PER_CENT, asked


class BareAsker:
    """Sends the same requests and counts packets: the least that a client on this event loop can do."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self._requests = requests
        self._transports: list[asyncio.Transport] = []
        self._waiting = 0
        self._decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def connected(cls, lines: Sequence[Line], ports: Sequence[int]) -> "BareAsker":
        body = ping_body()
        asker = cls([line.head + b"1000\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body) for line in lines])
        for port in ports:
            transport, _ = await asyncio.get_running_loop().create_connection(partial(Bare, asker), HOST, port)
            asker._transports.append(transport)
        return asker

    async def ask(self) -> None:
        self._waiting = len(self._transports)
        self._decided = asyncio.get_running_loop().create_future()
        for transport, request in zip(self._transports, self._requests, strict=True):
            transport.write(request)
        await self._decided

    def received(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            self._decided.set_result(None)


class Bare(asyncio.Protocol):
    def __init__(self, asker: BareAsker) -> None:
        self._asker = asker

    def data_received(self, data: bytes) -> None:  # noqa: ARG002  # it is received, that is all
        self._asker.received()


def price_cents(index: int) -> int:
    return 500 + 40 * index


class Buyer(asyncio.Protocol):
    """Answers each request with the price of his port."""

    _numbers = itertools.count()

    def __init__(self, index: int, options: Options) -> None:
        self._price = f"{price_cents(index) / 100:.2f}"
        self._options = options

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert data.startswith(b"POST /bid "), data
        assert data.endswith(b"}"), data
        if self._options.think_ms:
            asyncio.get_running_loop().call_later(self._options.think_ms / 1000, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        number = next(self._numbers)
        new = f"X-Request-Id: {number:012d}\r\n" if self._options.new_heads else ""
        body = f'{{"bid":"{self._price}","bid_id":"b{number:012d}"}}'
        self._transport.write(
            f"HTTP/1.1 200 OK\r\nServer: farm\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n{new}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )


async def serve(options: Options) -> None:
    """The buyers: says their ports, then answers until the parent is gone."""
    loop, parent_gone = asyncio.get_running_loop(), asyncio.Event()
    servers = [
        await loop.create_server(partial(Buyer, index, options), HOST, 0, backlog=4096)
        for index in range(options.fanout)
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    loop.add_reader(sys.stdin.fileno(), parent_gone.set)
    stay_awake(loop)
    await parent_gone.wait()


def stay_awake(loop: asyncio.AbstractEventLoop) -> None:
    """Never sleeps: a process that does must be woken by whoever sends to it, at his expense."""
    loop.call_soon(stay_awake, loop)


@asynccontextmanager
async def farm(*options: str) -> AsyncIterator[list[int]]:
    """Buyers in a process of their own, with these options, on another core if there is one; their ports."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        __file__,
        *options,
        "--serve",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if (cpus := os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {0})
        os.sched_setaffinity(process.pid, set(range(1, cpus)))
    assert process.stdout is not None
    try:
        yield [int(text) for text in (await process.stdout.readline()).split()]
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    main()
