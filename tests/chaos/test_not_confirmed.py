"""What was committed, and whose confirmation was lost or late."""

from chaos.arena import Arena, Role, assert_clean, is_clear


async def test_a_claim_that_was_not_confirmed_is_found_again(arena: Arena) -> None:
    await arena.open_market({"alpha": Role(idempotent=True, has_status=True)})
    gateway = await arena.gateway("claim_not_confirmed")
    await arena.post(gateway, await arena.ping(gateway))
    await arena.worker()
    await arena.until(is_clear)
    assert_clean(await arena.verdict())


async def test_a_repeat_gets_what_was_told_at_the_deadline(arena: Arena) -> None:
    await arena.open_market({"alpha": Role(think_ms=500)}, {"auto": {"post_timeout_ms": 1000}})
    gateway, other = await arena.gateway("confirmed_late"), await arena.gateway()
    ping_id = await arena.ping(gateway)
    told = await arena.post(gateway, ping_id)
    assert told.document["status"] == "accepted"  # Postgres was asked at the deadline
    assert (await arena.post(other, ping_id)).answer == told.answer
    assert_clean(await arena.verdict())
