"""Gateways that freeze at the worst moment, and a buyer who cannot be asked: nothing is sold twice or held up."""

import asyncio
import signal

from chaos.arena import PATIENCE_S, SHUT, Arena, Role, assert_clean, is_clear
from exchange.simulation.chaos.conduct import Move
from exchange.simulation.chaos.link import FAIR


async def test_a_thawed_gateway_does_not_send_what_was_taken_from_it(arena: Arena) -> None:
    await arena.open_market({"alpha": Role(has_status=True)})
    gateway = await arena.gateway("frozen_before_it_sends")
    ping_id = await arena.ping(gateway)
    posting = asyncio.create_task(arena.post(gateway, ping_id))
    await arena.until(bool)
    await arena.worker()
    await arena.until(lambda found: bool(found) and is_clear(found))  # the buyer says that he knows no such attempt
    gateway.send(signal.SIGCONT)
    await posting
    assert_clean(await arena.verdict())


async def test_a_frozen_gateway_does_not_stop_the_sales_of_others(arena: Arena) -> None:
    await arena.open_market({"alpha": Role()})
    frozen, other = await arena.gateway("frozen_in_its_claim"), await arena.gateway()
    pings = [await arena.ping(other, number=number) for number in range(2)]
    posting = asyncio.create_task(arena.post(frozen, pings[0], number=0))
    await asyncio.sleep(0.5)
    async with asyncio.timeout(PATIENCE_S):  # it is not thawed before
        while (await arena.post(other, pings[1], number=1)).status != 200:
            await asyncio.sleep(0.1)
    frozen.send(signal.SIGCONT)
    await posting
    assert_clean(await arena.verdict())


async def test_a_buyer_who_cannot_be_asked_has_said_nothing(arena: Arena) -> None:
    await arena.open_market({"alpha": Role(moves=(Move.DROP,), has_status=True)})
    gateway = await arena.gateway()
    told = await arena.post(gateway, await arena.ping(gateway))
    assert told.document["status"] == "pending"
    await arena.links["alpha"].change(SHUT)
    await arena.worker()
    await arena.until(is_clear, within_s=5)
    await arena.links["alpha"].change(FAIR)
    await arena.until(is_clear)
    assert_clean(await arena.verdict())
