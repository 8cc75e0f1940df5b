"""Posts whose gateway is gone or frozen: after the lease they are unknown, and a late word of that gateway is void."""

import asyncio

from support.buyer import Answer, Buyer, Received, bids, reply
from support.market import CONTACT, market
from support.world import World

from exchange.storage import recovery


async def test_an_attempt_past_its_lease_is_unknown_and_its_gateway_cannot_conclude_it_any_more(world: World) -> None:
    answered = asyncio.Event()

    async def accept_when_told(_: Received) -> Answer:
        await answered.wait()
        return reply({"status": "accepted"})

    async with Buyer(bids("21.00"), accept_when_told) as buyer:
        await world.apply(market({"only": buyer}))
        offer = await world.ping()
        posting = asyncio.create_task(world.post(offer["ping_id"]))
        while not buyer.posts:
            await asyncio.sleep(0.01)
        assert await recovery.give_up_expired(world.database, lambda *_: b"{}") == 0
        await world.rows("update attempts set lease_until = now() - interval '1 s'")
        assert await recovery.give_up_expired(world.database, lambda *_: b"{}") == 1
        answered.set()
        told = await posting

    assert (told["status"], told["reason"]["code"]) == ("pending", 505)
    now = (await world.get(f"/v1/posts/{told['post_id']}")).json()
    assert (now["status"], now["reason"]["code"]) == ("pending", 505)
    [attempt] = await world.rows("select state, epoch from attempts")
    assert tuple(attempt) == ("unknown", 2)
    [account] = await world.rows("select held_micros, balance_micros from accounts where owner = 'only'")
    assert tuple(account) == (21_000_000, 0)
    assert not await world.rows("select 1 from transfers")
    await world.assert_sound()
    repeated = await world.send("/v1/post", {"ping_id": offer["ping_id"], "lead": CONTACT})
    assert repeated.content == b"{}"  # the answer that was stored when the lease ran out
