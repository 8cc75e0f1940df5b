"""What a gateway told its seller while it was cut off from Postgres, and then was killed: it holds all the same."""

import asyncio
import signal

import pytest

from chaos.arena import Arena, Role, assert_clean, is_clear


async def refused(arena: Arena, key: str | None) -> str:
    """A post that was answered 503, though it is claimed, by a gateway that is dead since; its ping."""
    gateway = await arena.gateway("claims_never_confirmed", "dies_before_it_withdraws")
    ping_id = await arena.ping(gateway)
    assert (await arena.post(gateway, ping_id, key)).status == 503
    await gateway.gone()
    assert len(await arena.attempts()) == 1
    return ping_id


@pytest.mark.parametrize("key", [None, "one"])
async def test_a_worker_takes_back_what_was_answered_503(arena: Arena, key: str | None) -> None:
    await arena.open_market({"alpha": Role(idempotent=True, has_status=True)})
    await refused(arena, key)
    await arena.expire()  # whoever knew no better would ask the buyer
    await arena.worker()
    await arena.until(lambda found: not found)
    assert await arena.attempts() == []
    assert arena.deliveries("alpha") == []
    assert_clean(await arena.verdict())


@pytest.mark.parametrize("key", [None, "one"])
async def test_a_repeat_elsewhere_takes_it_back_and_sells(arena: Arena, key: str | None) -> None:
    await arena.open_market({"alpha": Role()})
    other = await arena.gateway()
    ping_id = await refused(arena, key)
    told = await arena.post(other, ping_id, key)
    assert (told.status, told.document["status"]) == (200, "accepted")
    assert len(arena.deliveries("alpha")) == 1
    assert_clean(await arena.verdict())


async def test_who_does_not_know_what_was_stored_says_nothing(arena: Arena) -> None:
    await arena.open_market({"alpha": Role(idempotent=True)})
    gateway = await arena.gateway("claims_never_confirmed", "freezes_before_it_refuses")
    ping_id = await arena.ping(gateway)
    posting = asyncio.create_task(arena.post(gateway, ping_id))
    await arena.until(bool)
    await arena.expire()
    await arena.worker()
    await arena.until(lambda found: bool(found) and is_clear(found))  # the buyer was sent it again, and took it
    await asyncio.sleep(1.5)  # and the lease is over for the gateway, too
    gateway.send(signal.SIGCONT)
    assert (await posting).status is None
    assert_clean(await arena.verdict())


async def test_a_repeat_elsewhere_gets_the_pending_that_was_told(arena: Arena) -> None:
    await arena.open_market({"alpha": Role(think_ms=300)}, {"auto": {"post_timeout_ms": 1000}})
    gateway, other = await arena.gateway("cut_off_when_it_tells"), await arena.gateway()
    ping_id = await arena.ping(gateway)
    told = await arena.post(gateway, ping_id)
    assert told.document["status"] == "pending"
    assert (await arena.post(other, ping_id)).answer == told.answer
    await gateway.gone()
    await arena.worker()
    assert (await arena.post(other, ping_id)).answer == told.answer
    assert_clean(await arena.verdict())


async def test_a_gateway_says_what_a_repeat_was_told_before(arena: Arena) -> None:
    await arena.open_market({"alpha": Role(think_ms=100)}, {"auto": {"post_timeout_ms": 1500}})
    gateway, other = await arena.gateway("cut_off_when_it_tells"), await arena.gateway()
    ping_id = await arena.ping(gateway)
    posting = asyncio.create_task(arena.post(gateway, ping_id))
    await arena.until(lambda found: bool(found) and is_clear(found))
    before = await arena.post(other, ping_id)
    assert before.document["status"] == "accepted"
    assert (await posting).answer == before.answer
    assert_clean(await arena.verdict())
