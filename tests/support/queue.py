"""Workers that offer queued leads again, in a whole exchange."""

import base64
import copy
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from exchange.engine import open_engine
from exchange.settings import Settings
from exchange.waiting import WaitingLeads
from support.buyer import Buyer
from support.market import CONTACT, LEAD, Document, market
from support.unknowns import KEY
from support.waiting import until
from support.world import World

WHOLE = LEAD | CONTACT
MASTER_KEY = base64.b64encode(KEY).decode()
EVERYTHING = ["no_eligible_orders", "no_bids", "below_min_price", "seller_capped"]


@asynccontextmanager
async def offering(world: World, folder: Path, key: str = MASTER_KEY) -> AsyncIterator[WaitingLeads]:
    """A worker's part that sees to queued leads."""
    settings = Settings(
        postgres_url=world.services.postgres_url,
        valkey_url=world.services.valkey_url,
        data_dir=folder,
        allow_private_addresses=True,
        master_key=key,
    )
    async with AsyncExitStack() as stack:
        waiting = WaitingLeads(
            world.database,
            lambda: open_engine(settings, world.services, stack, "worker"),
            longest_s=3600,
            at_once_max=20,
        )
        try:
            yield waiting
        finally:
            await waiting.close(1)


def queueing(buyers: dict[str, Buyer | str], *, orders: Document | None = None, **queue: Any) -> Document:
    """A market whose campaign lets leads wait."""
    return copy.deepcopy(market(buyers, orders=orders, queue={"for_s": 3600} | queue))


async def sell(world: World, key: str | None = None, seller: str = "acme", **more: Any) -> Document:
    """What the seller of a whole lead is told."""
    headers = {} if key is None else {"Idempotency-Key": key}
    sent = {"campaign": "auto-us", "lead": WHOLE} | more
    answer = await world.send("/v1/leads", sent, seller, **headers)
    assert answer.status_code == 200, answer.text
    found: Document = answer.json()
    return found


async def make_due(world: World) -> None:
    """Lets what waits be due now, as time would."""
    await world.rows("update queued_leads set due_at = now(), lease_until = now() where state = 'waiting'")


async def offer_all(world: World, waiting: WaitingLeads) -> int:
    """Lets all be due, and one round of a worker, to its end; how many leads it began with."""
    await make_due(world)
    taken = await waiting.round()
    await waiting.rest()
    return taken


async def row_of(world: World, lead: Document) -> Any:
    [row] = await world.rows("select * from queued_leads where post_id = $1", lead["post_id"])
    return row


async def state_of(world: World, lead: Document, seller: str = "acme") -> Document:
    found: Document = (await world.get(f"/v1/posts/{lead['post_id']}", seller)).json()
    return found


async def open_again(world: World, waiting: WaitingLeads, buyer: Buyer, **queue: Any) -> None:
    """The paused order of a market goes on; gateway and worker know it."""
    version = await world.apply(queueing({"only": buyer}, **queue))
    if waiting._engine is not None:
        live = waiting._engine.live

        async def known() -> int:
            return live.book.version if live.book else 0

        await until(known, lambda found: found >= version)
