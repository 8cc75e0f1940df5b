"""Workers that send the outbox, in a whole exchange, and receivers that check signatures as strangers would."""

import asyncio
import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from standardwebhooks import Webhook

from exchange.buyers.delivery import Courier
from exchange.buyers.tokens import Tokens
from exchange.carriers.mail import Relay
from exchange.outbox.buyers import BuyerNotices
from exchange.outbox.following import Followings
from exchange.outbox.market import Directory
from exchange.outbox.sellers import SellerWebhooks
from exchange.outbox.sending import Outbox, Pace
from exchange.storage.vault import Vault
from support.buyer import Answer, Buyer, Received, reply
from support.unknowns import KEY
from support.world import World

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
PACE = Pace(first_s=10, longest_s=3600, tries_max=5, at_once_max=20, each_max=10)


@dataclass
class Receiver:
    """What a webhook's receiver is told; `answers` are his statuses in turn, the last one for ever. None: no answer."""

    answers: list[int | None] = field(default_factory=lambda: [200])
    got: list[Received] = field(default_factory=list)

    def __call__(self, received: Received) -> Answer:
        self.got.append(received)
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return None if status is None else reply({}, status)

    def listening(self) -> Buyer:
        """A socket on which it listens, at whatever path."""
        return Buyer(self, self)


def verified(received: Received, secret: str = SECRET) -> Any:
    """The document of a request whose signature another implementation finds to be right."""
    return Webhook(secret).verify(received.body, received.headers)


def sender(
    world: World,
    *,
    environment: Mapping[str, str] | None = None,
    relay: Relay | None = None,
    tls: ssl.SSLContext | None = None,
    pace: Pace = PACE,
    tokens: Tokens | None = None,
    key: bytes = KEY,
) -> Outbox:
    """A worker's outbox."""
    directory, courier, found = Directory(world.database), Courier(allow_private=True), environment or {}
    followings = Followings(
        world.database,
        directory,
        courier,
        Vault(key),
        found,
        tokens or Tokens(courier),
        relay,
        tls or ssl.create_default_context(),
        allow_private=True,
    )
    sellers = SellerWebhooks(world.database, directory, courier, found)
    buyers = BuyerNotices(world.database, directory, courier, found)
    return Outbox(world.database, directory, {"seller": sellers, "buyer": buyers, "order": followings}, pace)


async def send_all(world: World, **changes: Any) -> int:
    """One round of a worker, to its end; how many rows, or files, it began with."""
    tokens = Tokens(Courier(allow_private=True))
    outbox = sender(world, tokens=tokens, **changes)
    taken = await outbox.round()
    await outbox.rest()
    await tokens.close()
    return taken


async def outbox_rows(world: World) -> list[asyncpg.Record]:
    """The outbox, oldest first."""
    return await world.rows("select * from outbox order by created_at, outbox_id")


async def make_due(world: World) -> None:
    """Lets what waits be due now."""
    await world.rows("update outbox set due_at = now() where state = 'waiting'")


def facts(row: asyncpg.Record) -> Any:
    return json.loads(row["facts"])


async def settled(task: "asyncio.Task[Any]") -> None:
    """Waits for a task that was cancelled."""
    await asyncio.gather(task, return_exceptions=True)
