"""Buyers who ask for notices, and workers that make them."""

import json
from typing import Any

from exchange.outbox.market import Directory
from exchange.outbox.noticing import NoticeLimits, Noticing
from support.buyer import Buyer
from support.market import Document, market
from support.outbox import SECRET
from support.world import World

TERMS: Document = {"delay_min": 15, "rank": True, "clearing_price_step": "0.50"}
LIMITS: dict[str, Any] = {"every_s": 1, "bids_max": 500, "waiting_max": 100, "age_s": 86_400}


def telling(buyers: dict[str, Buyer], hooks: dict[str, Buyer], **changes: Any) -> Document:
    """A market whose buyers are told at these addresses, where they have one."""
    document = market(dict(buyers), **({"notices": TERMS} | changes))
    for name, hook in hooks.items():
        document["buyers"][name]["notices"] = {"url": f"{hook.url}/told", "secret": SECRET}
    return document


async def pass_time(world: World) -> None:
    """Lets the delay of pings be over, for whoever looks at what may be told."""
    await world.rows("update pings_to_tell set look_at = look_at - interval '16 minutes'")


async def look(world: World, **limits: Any) -> int:
    """One look at what may be told by now; how many pings were looked at."""
    return await Noticing(world.database, Directory(world.database), NoticeLimits(**(LIMITS | limits))).round()


async def to_tell(world: World) -> list[str]:
    """The pings that are to be looked at, in order."""
    return [str(row["ping_id"]) for row in await world.rows("select ping_id from pings_to_tell order by look_at")]


async def lost(world: World) -> list[Document]:
    """The lost bids in the outbox, of all buyers, as they lie there."""
    rows = await world.rows("select subject, facts from outbox where event = 'bid.lost' order by subject, outbox_id")
    return [bid | {"buyer": row["subject"]} for row in rows for bid in json.loads(row["facts"])["bids"]]
