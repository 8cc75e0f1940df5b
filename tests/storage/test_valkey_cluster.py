"""A Valkey Cluster instead of one server: keys and channels are found where they are; a lost node loses its part."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.crc import key_slot
from support.buyer import Buyer, bids
from support.market import market
from support.valkey_cluster import Cluster, Node, valkey_cluster
from support.waiting import until
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.storage import feed
from exchange.storage.fingerprints import PARTS, runs, whole
from exchange.storage.valkey import Valkey, listening, nodes

GROUPS = [[f"{{{name}}}:1", f"{{{name}}}:2"] for name in "abcdefgh"]
CHANNEL = "told"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(servers: Services) -> AsyncIterator[Cluster]:  # noqa: ARG001  # they have opened the way to its program
    async with valkey_cluster() as made:
        yield made


@pytest.fixture
async def cluster(lasting: Cluster) -> AsyncIterator[Cluster]:
    """A cluster of which every node is there, and empty."""
    await asyncio.gather(*(node.ask("FLUSHALL") for node in lasting.nodes))
    yield lasting
    for node in lasting.nodes:
        node.thaw()
        if node.process is None:
            await node.start()
    await lasting.settle()


@pytest.fixture
async def valkey(cluster: Cluster) -> AsyncIterator[Valkey]:
    made = Valkey(cluster.url)
    yield made
    await made.close()


async def put(valkey: Valkey) -> None:
    done = await valkey.send([("SET", key, key) for group in GROUPS for key in group])
    assert done == [True] * len(done) or all(answer in {True, b"OK"} for answer in done)


def owners(cluster: Cluster) -> list[Node]:
    return [cluster.owner(key_slot(group[0].encode())) for group in GROUPS]


def text(found: Sequence[Sequence[bytes | None] | None]) -> list[list[str | None] | None]:
    return [None if group is None else [item.decode() if item else None for item in group] for group in found]


async def test_groups_of_keys_are_found_wherever_they_lie(cluster: Cluster, valkey: Valkey) -> None:
    assert {owner.port for owner in owners(cluster)} == {node.port for node in cluster.nodes}
    await put(valkey)
    assert text(await valkey.find(GROUPS)) == GROUPS


@pytest.mark.parametrize("how", ["kill", "freeze"])
async def test_a_node_that_is_gone_takes_its_own_keys_along_and_no_others(
    cluster: Cluster, valkey: Valkey, how: str
) -> None:
    await put(valkey)
    gone = cluster.nodes[1]
    getattr(gone, how)()
    expected = [None if owner is gone else group for owner, group in zip(owners(cluster), GROUPS, strict=True)]
    assert text(await valkey.find(GROUPS)) == expected
    assert text(await until(lambda: valkey.find(GROUPS), lambda found: sum(map(bool, found)) > 0)) == expected
    gone.thaw()
    if how == "kill":
        await gone.start()
    await until(lambda: valkey.find(GROUPS), lambda found: None not in found)


async def test_a_cluster_that_is_down_gives_no_answer_and_is_found_again(cluster: Cluster, valkey: Valkey) -> None:
    await put(valkey)
    for node in cluster.nodes[1:]:
        node.kill()
    left = cluster.nodes[0]
    await until(lambda: left.ask("CLUSTER", "INFO"), lambda said: "cluster_state:fail" in str(said))
    assert text(await valkey.find(GROUPS)) == [None] * len(GROUPS)
    left.kill()
    assert text(await valkey.find(GROUPS)) == [None] * len(GROUPS)
    for node in cluster.nodes:
        await node.start()
    await until(lambda: valkey.find(GROUPS), lambda found: None not in found)


async def test_keys_are_followed_while_they_move_and_when_they_have_moved(cluster: Cluster, valkey: Valkey) -> None:
    await put(valkey)
    group = GROUPS[0]
    slot = key_slot(group[0].encode())
    old = cluster.owner(slot)
    new = next(node for node in cluster.nodes if node is not old)
    old_id, new_id = await old.name(), await new.name()
    await new.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", old_id)
    await old.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", new_id)
    await old.ask("MIGRATE", "127.0.0.1", new.port, "", 0, 5000, "KEYS", *group)
    assert text(await valkey.find([group[:1]])) == [group[:1]]  # the old one sends us on, for this once
    for node in (new, old):
        await node.ask("CLUSTER", "SETSLOT", slot, "NODE", new_id)
    assert text(await valkey.find([group])) == [group]
    await until(lambda: valkey.find(GROUPS), lambda found: text(found) == GROUPS)
    await new.ask("FLUSHALL")
    for node in (old, new):  # back again
        await node.ask("CLUSTER", "SETSLOT", slot, "NODE", old_id)


async def test_who_publishes_knows_whether_anybody_listens(cluster: Cluster, valkey: Valkey) -> None:
    assert await valkey.publish(CHANNEL, b"1") == 0
    async with listening(cluster.url, CHANNEL) as one, listening(cluster.url, CHANNEL) as two:
        assert await valkey.publish(CHANNEL, b"2") == 2
        assert [await one(), await two()] == [b"2", b"2"]


async def test_the_feed_is_watched_through_a_cluster(cluster: Cluster) -> None:
    made = feed.Feed(cluster.url)
    watching = feed.watch(cluster.url)
    seen = asyncio.ensure_future(anext(watching))
    while not seen.done():
        made.push({"event": "x"})
        await asyncio.wait({seen}, timeout=0.1)
    assert seen.result() == {"event": "x"}
    await watching.aclose()  # type: ignore[attr-defined]  # it is a generator
    await made.close()


async def markers(cluster: Cluster) -> int:
    owned = [(cluster.owner(key_slot(whole(part).encode())), whole(part)) for part in range(PARTS)]
    return sum([int(str(await node.ask("EXISTS", key))) for node, key in owned])


def person(number: int) -> dict[str, str]:
    return {"first_name": "Ann", "phone": f"312-555-{number:04d}", "email": f"ann-{number}@example.com"}


async def look(world: World, number: int) -> dict[str, Any]:
    """A ping that says whom it is about."""
    who = {"phone": f"+1312555{number:04d}", "email": f"ann-{number}@example.com"}
    hashes = {field: hashlib.sha256(value.encode()).hexdigest() for field, value in who.items()}
    return await world.ping(identity_hashes=hashes)


async def sell(world: World, number: int) -> None:
    offer = await look(world, number)
    assert (await world.post(offer["ping_id"], person(number), "acme"))["status"] == "accepted"


async def test_people_on_a_node_that_was_lost_are_filled_in_again(
    cluster: Cluster, services: Services, tmp_path: Path
) -> None:
    given = Services(services.postgres_url, cluster.url)
    async with Buyer(bids("21.00")) as buyer, open_world(given, tmp_path) as world:
        await world.apply(market({"only": buyer}, duplicates={"window_days": 30}))
        for number in range(8):
            await sell(world, number)
        await until(lambda: markers(cluster), lambda found: found == PARTS)
        gone = cluster.nodes[1]
        gone.kill()
        await sell(world, 100)  # nobody misses it
        await gone.start()
        await cluster.settle()
        for number in (*range(8), 100):
            await until(partial(look, world, number), lambda found: found["status"] == "refused")
        await until(lambda: markers(cluster), lambda found: found == PARTS, within_s=20)


async def test_a_cluster_describes_itself(cluster: Cluster, valkey: Valkey) -> None:
    assert "3 primaries of a cluster" in await valkey.describe()
    assert cluster.nodes


def test_a_clusters_url_names_its_nodes_and_how_to_log_in() -> None:
    named, login = nodes("valkeys+cluster://me:p%40ss@one:7000,[::1]:7001,three")
    assert named == [("one", 7000), ("::1", 7001), ("three", 6379)]
    assert login == {"username": "me", "password": "p@ss", "ssl": True}


@pytest.mark.parametrize(("parts", "found"), [([], []), ([1, 2, 5], [range(1, 3), range(5, 6)]), ([0], [range(1)])])
def test_numbers_side_by_side_are_one_range(parts: list[int], found: list[range]) -> None:
    assert runs(parts) == found
