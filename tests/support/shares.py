"""Markets that sell shares, and what came of a post: its attempts, its legs, and the money that it moved."""

from collections.abc import Mapping
from typing import Any

from exchange.storage import accounts
from support.buyer import Behaviour, Buyer, says
from support.market import Document, market
from support.world import World


def shared_market(buyers: Mapping[str, Buyer], *, sale: str = "shared", max_shares: int = 2, **more: Any) -> Document:
    """A market that sells shares; a lead is bought by two, unless said otherwise."""
    return market({**buyers}, sale=sale, max_shares=max_shares, **more)


def both_ways(exclusive: str, shared: str, max_shares: int = 2) -> Behaviour:
    return says(
        {
            "bids": [
                {"sale": "exclusive", "bid": exclusive, "bid_id": "x"},
                {"sale": "shared", "bid": shared, "max_shares": max_shares, "bid_id": "s"},
            ]
        }
    )


async def sell(world: World, document: Document, **ping: Any) -> Document:
    await world.apply(document)
    return await world.post((await world.ping(**ping))["ping_id"])


async def attempts(world: World, post: Document) -> list[tuple[int, str, str]]:
    rows = await world.rows(
        "select leg, order_key, state from attempts where post_id = $1 order by leg, ordinal", post["post_id"]
    )
    return [tuple(row.values()) for row in rows]


async def state_of(world: World, post: Document) -> Document:
    found: Document = (await world.get(f"/v1/posts/{post['post_id']}")).json()
    return found


async def moved(world: World, post: Document) -> dict[tuple[str, str], int]:
    """What each buyer of a post paid, and the seller got of it, in cents."""
    rows = await world.rows(
        "select a.buyer, t.kind, t.amount_micros from transfers t join attempts a using (attempt_id) "
        "where a.post_id = $1",
        post["post_id"],
    )
    return {(row["buyer"], row["kind"]): row["amount_micros"] // 10_000 for row in rows}


async def standing(world: World, buyer: str) -> tuple[int, int]:
    """A buyer's balance, and what is held of it, in cents."""
    [found] = [item for item in await accounts.standings(world.database) if item.owner == buyer]
    return found.balance_micros // 10_000, found.held_micros // 10_000


def told(post: Document) -> list[tuple[int, str, str, int | None]]:
    return [(leg["leg"], leg["price"], leg["status"], leg["reason"] and leg["reason"]["code"]) for leg in post["legs"]]
