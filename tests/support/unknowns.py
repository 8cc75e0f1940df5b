"""Attempts that nobody answers, in a whole exchange: how they come about, who sees to them, what they cost."""

from typing import Any

from exchange.buyers.delivery import Courier
from exchange.observe import metrics
from exchange.reconcile import Limits, Reconciler
from exchange.rules.doubt import Pace
from exchange.storage import accounts
from exchange.storage.vault import Vault
from support.buyer import Answer, Behaviour, Buyer, Received, reply, says
from support.market import Document, market
from support.world import World

KEY = bytes(range(32))
UNIT = 1_000_000
UNCLEAR = says({}, 500)
ACCEPTED, REJECTED = {"status": "accepted", "reference": "crm-9"}, {"status": "rejected"}


def one_after_another(*answers: Behaviour) -> Behaviour:
    """Answers in turn, the last one for ever."""
    left = list(answers)

    async def behave(received: Received) -> Answer:
        said = (left.pop(0) if len(left) > 1 else left[0])(received)
        return said if isinstance(said, bytes | None) else await said

    return behave


def tells(status: object) -> Behaviour:
    """Bids, and says this where he is asked for the status of an attempt."""
    return lambda received: reply({"bid": "21.00"} if received.path == "/bid" else status)


def agreed(name: str, buyer: Buyer, **endpoint: Any) -> Document:
    """A market with one order whose endpoint has these terms."""
    document = market({name: buyer})
    document["buyers"][name]["endpoint"] |= endpoint
    return document


async def sell(world: World, document: Document, **ping: Any) -> Document:
    await world.apply(document)
    return await world.post((await world.ping(**ping))["ping_id"])


async def state_of(world: World, post: Document) -> Document:
    found: Document = (await world.get(f"/v1/posts/{post['post_id']}")).json()
    return found


async def attempt_of(world: World, post: Document) -> Any:
    [row] = await world.rows("select * from attempts where post_id = $1", post["post_id"])
    return row


async def standing(world: World, buyer: str) -> tuple[int, int]:
    [found] = [item for item in await accounts.standings(world.database) if item.owner == buyer]
    return found.balance_micros // UNIT, found.held_micros // UNIT


async def kinds(world: World, post: Document) -> list[str]:
    rows = await world.rows(
        "select kind from transfers join attempts using (attempt_id) where post_id = $1 order by transfer_id",
        post["post_id"],
    )
    return [row["kind"] for row in rows]


async def age(world: World, post: Document, interval: str) -> None:
    """Makes an attempt older, and due."""
    await world.rows(
        f"update attempts set created_at = now() - interval '{interval}', lease_until = now() where post_id = $1",  # noqa: S608
        post["post_id"],
    )


def worker(world: World, **changes: Any) -> Reconciler:
    limits = Limits(Pace(10, 3600, changes.get("tries_max", 100)), 20)
    key = changes.get("key", KEY)
    return Reconciler(world.database, Courier(allow_private=True), Vault(key), {}, limits)


async def reconcile(world: World, **changes: Any) -> int:
    """One round of a worker, to its end; how many attempts it took."""
    reconciler = worker(world, **changes)
    taken = await reconciler.round()
    await reconciler.rest()
    await reconciler.close()
    await reconciler._courier.close()
    return taken


def counted(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get(name, labels) or 0.0
