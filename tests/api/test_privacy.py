"""Contact data leaves once: whatever is done with a lead, only the buyer whom it was posted to ever sees it."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.buyer import ACCEPTS, Behaviour, Buyer, Received, bids, reply, says
from support.canary import CONTACT, SPELLINGS, sightings
from support.market import LEAD, market
from support.privacy import Seller, everything_in_postgres, everything_in_valkey, gateway, in_force, listening
from support.waiting import until

from exchange.embedded.lease import Services
from exchange.marketfile.reader import read
from exchange.storage import catalogue, keys
from exchange.storage.database import Connection, Database
from exchange.storage.feed import CHANNEL

WHOLE = LEAD | CONTACT
E164 = "+13125550177"


def echoes(status: int, word: str) -> Behaviour:
    """A buyer who says the whole lead again, as some do."""

    def behave(sent: Received) -> bytes:
        return reply({"status": word, "reason": f"had {sent.body.decode()} before", "note": sent.json["lead"]}, status)

    return behave


def everything_sent_to(name: str, buyer: Buyer) -> Iterator[tuple[str, bytes]]:
    for received in buyer.pings + buyer.posts:
        yield f"a request to {name}", repr(received.headers).encode() + received.body


async def sell_in_every_way(seller: Seller, winner: Buyer) -> None:
    """Leads that are sold, refused, lost and repeated."""
    digest = {"phone": hashlib.sha256(E164.encode()).hexdigest()}
    for on_post in (ACCEPTS, echoes(200, "rejected"), echoes(200, "nonsense"), echoes(500, "accepted")):
        winner.on_post = on_post
        ping_id = await seller.offer(WHOLE | {"3125550177": 1, CONTACT["email"]: 1}, identity_hashes=digest)
        post = await seller.send("/v1/post", {"ping_id": ping_id, "lead": CONTACT}, key=ping_id)
        await seller.send("/v1/post", {"ping_id": ping_id, "lead": CONTACT})
        await seller.look(f"/v1/pings/{ping_id}")
        await seller.look(f"/v1/posts/{post['post_id']}")
        sold = {"campaign": "auto-us", "lead": WHOLE}
        await seller.send("/v1/leads", sold, key=f"lead-{ping_id}")
        await seller.send("/v1/leads", sold | {"ref": "x"}, 422, key=f"lead-{ping_id}")


async def err_in_every_way(seller: Seller, stranger: Seller, nobody: Seller) -> None:
    """Requests that are wrong, with the person in each."""
    ping_id = await seller.offer()
    text = json.dumps({"ping_id": ping_id, "lead": CONTACT})
    await seller.send("/v1/post", text.encode()[:-1], 400)
    await seller.send("/v1/post", text.encode(), 415, media_type="text/plain")
    await seller.send("/v1/post", text.encode() + b" " * 70_000, 413)
    await nobody.send("/v1/post", text.encode(), 401)
    await stranger.send("/v1/post", text.encode(), 404)
    await seller.send("/v1/post", text.replace("Quux", "\\u0000").encode(), 422)
    await seller.send("/v1/post", text.replace("Quux", "\\ud800").encode(), 422)
    await seller.send("/v1/post", {"ping_id": ping_id, "lead": CONTACT, CONTACT["email"]: 1}, 422)
    await seller.send("/v1/post", {"ping_id": E164, "lead": CONTACT}, 404)
    await seller.send("/v1/post", {"ping_id": ping_id, "lead": CONTACT | {"email": CONTACT["email"] + "@"}}, 422)
    await seller.send("/v1/post", {"ping_id": ping_id, "lead": CONTACT | {"phone": E164 + "99999"}}, 422)
    await seller.send("/v1/ping", {"campaign": "auto-us", "lead": {"zip": E164}}, 422)
    await seller.send("/v1/ping", {"campaign": CONTACT["email"], "lead": LEAD}, 404)
    await seller.send("/v1/ping", {"campaign": "auto-us", "lead": LEAD, "min_price": E164}, 422)
    await seller.send("/v1/leads", {"campaign": "auto-us", "lead": CONTACT}, 422)


async def lose_postgres(seller: Seller, database: Database) -> None:
    """A post that cannot be recorded, and one that is cut off in the middle of being recorded."""
    ping_id = await seller.offer()

    async def work(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute("lock table posts in share mode")
            await seller.send("/v1/post", {"ping_id": ping_id, "lead": CONTACT}, 503)

    await database.run(work)


@pytest.mark.parametrize("style", ["json", "console"])
async def test_nobody_but_the_buyer_of_a_lead_ever_sees_who_it_is(
    services: Services, tmp_path: Path, style: str
) -> None:
    database = await Database.connect(services.postgres_url, connections_max=3, timeout_s=10, name="test")
    seller_keys = [await keys.create(database, role="seller", seller=name) for name in ("acme", "other")]
    async with (
        Buyer(bids("30.00")) as winner,
        Buyer(bids("20.00"), says({"status": "rejected"})) as loser,
        Buyer(says({"bid": 0})) as idle,
        Buyer(says(b"")) as collector,
        listening(services.valkey_url) as heard,
        gateway(services, tmp_path, collector, style) as serving,
        httpx.AsyncClient(base_url=serving.url, timeout=60, trust_env=False) as client,
    ):
        document = market({"winner": winner, "loser": loser, "idle": idle}, fallback="none")
        await catalogue.apply(database, document, read(document), "test")
        await until(lambda: in_force(client), bool)
        seller, stranger, nobody = (Seller(client, key) for key in (*seller_keys, "lx_nobody"))
        await sell_in_every_way(seller, winner)
        await err_in_every_way(seller, stranger, nobody)
        await lose_postgres(seller, database)
        await until(lambda: _count(heard, b'"kind":"post"'), lambda count: count >= 8)
        places: list[tuple[str, bytes | str]] = [("/metrics", (await client.get("/metrics")).content)]
        places += [("the live feed", message) for message in heard]
        places += await everything_in_valkey(services.valkey_url)
        places += await everything_in_postgres(database)
        for name, buyer in (("loser", loser), ("idle", idle)):
            places += everything_sent_to(name, buyer)
        places += [("a ping to the winner", received.body) for received in winner.pings]
        assert await serving.stop() == 0
        assert serving.reading is not None
        await serving.reading
    await database.close()
    places.append(("the log", serving.log))
    places += [("a span", received.body) for received in collector.pings]
    for span in (b"unknown_campaign", b"attempt", b"commit"):
        assert any(span in received.body for received in collector.pings)
    ping_line, post_line = _lines(serving.log, "ping"), _lines(serving.log, "post")
    assert len(ping_line) > 8
    assert len(post_line) >= 8
    for line in ping_line + post_line:
        for field in ("ping_id", "campaign", "seller", "status", "reason", "elapsed_ms"):
            assert field in line
        assert "dropped" not in line
    assert all("post_id" in line for line in post_line)

    assert len(winner.posts) == 8
    assert sightings([("a post to the winner", winner.posts[0].body)]), "the canary cannot be seen where it must be"
    assert b"storage_unavailable" in serving.log
    assert any(where.startswith("column lead_sealed") for where, _ in places)
    assert sightings(places) == []


def _lines(log: bytes, event: str) -> list[str]:
    """The lines of an event, in either style."""
    found = re.compile(rf'"event":"{event}"|\] {event} ')
    return [line for line in log.decode().splitlines() if found.search(line)]


async def _count(heard: list[bytes], text: bytes) -> int:
    return sum(message.count(text) for message in heard if CHANNEL.encode() in message)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_canary_is_seen_however_it_is_written(spelling: str) -> None:
    digest = hashlib.sha256(spelling.lower().encode())
    for content in (f"xx{spelling.upper()}xx", digest.hexdigest().upper(), digest.digest(), f'{{"a": "{spelling}"}}'):
        assert sightings([("here", content)])
    assert sightings([("here", "nothing of anybody +13125550123")]) == []
