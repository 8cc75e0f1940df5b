"""Simulated buyers who misbehave: each does over a real socket what his manners say, and writes it down."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from farm_client import connected, first_line, log_of, one_buyer, ping, post, request

from exchange.simulation.buyer import ABSURD_BIDS, GARBAGE
from exchange.simulation.conduct import Decision, PingMove
from exchange.simulation.farm import Farm
from exchange.simulation.manners import Manners
from exchange.simulation.witness import Answered, PingSeen, PostAnswered, PostSeen


async def test_server_errors_at_ping(tmp_path: Path) -> None:
    async with one_buyer(tmp_path, ping_error_pct=100) as wire:
        assert [(await wire.call(ping())).status for _ in range(2)] == [500, 500]
    assert log_of(tmp_path)[0] == PingSeen("p-1", "order-1", PingMove.ERROR)


async def test_garbage_of_every_kind_at_ping() -> None:
    seen = set()
    async with Farm([Manners("solo", ping_garbage_pct=100)], seed=1) as farm:
        for number in range(80):
            async with connected(farm.ports["solo"]) as wire:
                wire.send(ping(f"p-{number}", headers={"Connection": "close"}))
                async with asyncio.timeout(60):
                    seen.add(await wire.reader.read())
    assert seen == {payload for payload, _ in GARBAGE}


async def test_absurd_prices_of_every_kind_at_ping(tmp_path: Path) -> None:
    async with one_buyer(tmp_path, absurd_price_pct=100) as wire:
        bodies = {(await wire.call(ping(f"p-{number}"))).body for number in range(90)}
    assert bodies == {b'{"bid": ' + bid + b"}" for bid in ABSURD_BIDS}
    assert {(entry.move, entry.bid_micros) for entry in log_of(tmp_path) if isinstance(entry, PingSeen)} == {
        (PingMove.ABSURD_PRICE, None)
    }


async def test_silence_at_ping_keeps_the_connection_and_says_nothing(tmp_path: Path) -> None:
    async with one_buyer(tmp_path, ping_silence_pct=100) as wire:
        wire.send(ping())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await wire.reader.read(1)
    assert log_of(tmp_path) == [PingSeen("p-1", "order-1", PingMove.SILENCE)]


async def test_who_thinks_takes_his_time() -> None:
    async with one_buyer(think_ms=(80, 80)) as wire:
        started = asyncio.get_running_loop().time()
        await wire.call(ping())
        assert asyncio.get_running_loop().time() - started > 0.07


# Misbehaviour at post


@pytest.mark.parametrize(
    ("manners", "status"), [({"reject_pct": 100}, "rejected"), ({"duplicate_pct": 100}, "duplicate")]
)
async def test_clear_noes_at_post(manners: dict[str, Any], status: str) -> None:
    async with one_buyer(**manners) as wire:
        assert (await wire.call(post())).json["status"] == status


async def test_a_lead_is_taken_and_the_reply_dropped(tmp_path: Path) -> None:
    async with one_buyer(tmp_path, drop_reply_pct=100) as wire:
        wire.send(post())
        assert await wire.at_end()
        decided, answered = log_of(tmp_path)
    assert isinstance(decided, PostSeen)
    assert decided.decision is Decision.ACCEPTED
    assert answered == PostAnswered("a-1", Answered.DROPPED)


async def test_a_lead_is_taken_and_500_answered(tmp_path: Path) -> None:
    async with one_buyer(tmp_path, post_error_pct=100) as wire:
        assert (await wire.call(post())).status == 500
        assert (await wire.call(request("GET", "/status?attempt_id=a-1"))).json == {"status": "accepted"}
    assert log_of(tmp_path)[-1] == PostAnswered("a-1", Answered.ERROR)


@pytest.mark.parametrize(
    "manners", [{"slow_accept_pct": 100, "slow_ms": 120}, {"late_accept_pct": 100, "late_ms": 120}]
)
async def test_a_lead_is_taken_slowly_or_late(manners: dict[str, Any]) -> None:
    async with one_buyer(**manners) as wire:
        started = asyncio.get_running_loop().time()
        assert (await wire.call(post())).json["status"] == "accepted"
        assert asyncio.get_running_loop().time() - started > 0.1


async def test_who_hangs_up_first_is_written_down_as_gone(tmp_path: Path) -> None:
    async with one_buyer(tmp_path, late_accept_pct=100, late_ms=60_000) as wire:
        wire.send(post())
        await first_line(tmp_path)
        wire.writer.close()
    assert log_of(tmp_path)[-1] == PostAnswered("a-1", Answered.GONE)
