"""A gateway that stops answers what it has begun, however short the time is that it is given for that."""

import asyncio
from pathlib import Path

import httpx
from support.buyer import Buyer, bids, slow
from support.market import CONTACT, market
from support.waiting import until
from support.world import open_world

from exchange.embedded.lease import Services


async def test_less_than_a_second_to_drain_is_not_none(services: Services, tmp_path: Path) -> None:
    async with Buyer(bids("21.00"), slow(0.4, {"status": "accepted"})) as buyer:

        async def asked() -> int:
            return len(buyer.posts)

        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            async with open_world(services, tmp_path, drain_timeout_s=0.9) as world:
                await world.apply(market({"only": buyer}))
                document = {"ping_id": (await world.ping())["ping_id"], "lead": CONTACT}
                headers = {"Authorization": f"Bearer {world.keys['acme']}"}
                url = f"{world.client.base_url}/v1/post"
                posting = asyncio.create_task(client.post(url, json=document, headers=headers))
                await until(asked, bool)
            answer = await posting
    assert (answer.status_code, answer.json()["status"]) == (200, "accepted")
