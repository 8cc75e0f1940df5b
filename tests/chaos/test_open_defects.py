"""What is known to be wrong, each as the shortest story that shows it. Whoever puts one right takes its mark away."""

import pytest

from chaos.arena import Arena, Role, assert_clean, is_clear


async def test_a_claim_that_was_not_confirmed_is_found_again(arena: Arena) -> None:
    await arena.open_market({"alpha": Role(idempotent=True, has_status=True)})
    gateway = await arena.gateway("claim_not_confirmed")
    await arena.post(gateway, await arena.ping(gateway))
    await arena.worker()
    await arena.until(is_clear)
    assert_clean(await arena.verdict())


@pytest.mark.xfail(reason="who asks while an outcome is being confirmed past the deadline gets another answer")
async def test_a_repeat_gets_what_was_told_at_the_deadline(arena: Arena) -> None:
    await arena.open_market({"alpha": Role(think_ms=500)}, {"auto": {"post_timeout_ms": 1000}})
    gateway, other = await arena.gateway("confirmed_late"), await arena.gateway()
    ping_id = await arena.ping(gateway)
    told = await arena.post(gateway, ping_id)
    assert told.document["status"] == "pending"
    await arena.post(other, ping_id)
    assert_clean(await arena.verdict())
