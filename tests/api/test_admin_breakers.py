"""Endpoints that are left alone, as operators see them: which, since when and why, and the way back."""

from datetime import UTC, datetime

import pytest
from support.buyer import Buyer, bids, says
from support.commands import shell_on
from support.market import Document, market
from support.waiting import until
from support.world import World
from test_openapi import assert_documented, openapi

from exchange.rules.pauses import Pause
from exchange.storage import keys, pauses

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUICK: Document = {"calls": 5, "percent": 100, "rest_s": 600}


def document(buyers: dict[str, Buyer | str]) -> Document:
    found = market(buyers)
    for buyer in found["buyers"].values():
        buyer["endpoint"]["breaker"] = QUICK
    return found


async def reason(world: World, order: str) -> int:
    return (await world.reasons((await world.ping())["ping_id"]))[order]


async def test_an_operator_sees_who_is_left_alone_and_has_him_asked_again(shared_world: World) -> None:
    key = await keys.create(shared_world.database, role="operator", seller=None)
    headers = {"Authorization": f"Bearer {key}"}
    documented = await openapi(shared_world)

    async def listed() -> list[Document]:
        answer = await shared_world.client.get("/admin/v1/breakers", headers=headers)
        assert answer.status_code == 200
        assert_documented(documented, answer)
        found: list[Document] = answer.json()["breakers"]
        return found

    async with Buyer(says({}, 503)) as north, Buyer(bids("20.00")) as south:
        await shared_world.apply(document({"north": north, "south": south}))
        await until(lambda: reason(shared_world, "north"), lambda found: found == 207)
        [row] = await until(listed, lambda rows: len(rows) == 1)
        told = {"buyer": "north", "endpoint": "default", "state": "open", "phase": "ping", "openings": 1}
        assert told.items() <= row.items()
        assert (row["gateways"], row["of"], row["shadow"]) == (1, 1, False)
        assert "pings failed, the last by server_error" in row["detail"]
        pause = Pause("south", "default", "all failed", datetime.now(UTC))
        await pauses.pause(shared_world.database, pause)
        rows = await until(listed, lambda rows: len(rows) == 2)
        assert [(row["buyer"], row["state"], row["phase"]) for row in rows] == [
            ("south", "paused", None),
            ("north", "open", "ping"),
        ]
        right = {"north/reset": 200, "south/reset?endpoint=default": 200}
        for path, status in (right | {"south/reset?endpoint=x": 404, "nobody/reset": 404}).items():
            answer = await shared_world.client.post(f"/admin/v1/breakers/{path}", headers=headers)
            assert answer.status_code == status
            assert_documented(documented, answer)
        assert await until(listed, lambda rows: not rows) == []
        await until(lambda: reason(shared_world, "north"), lambda found: found == 105)
        assert await reason(shared_world, "south") == 2


async def test_the_command_line_says_and_does_the_same(
    shared_world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shell = shell_on(shared_world.services, tmp_path_factory.mktemp("shell"))
    async with Buyer(says({}, 503)) as north:
        await shared_world.apply(document({"north": north}))
        await until(lambda: reason(shared_world, "north"), lambda found: found == 207)

        async def listed() -> str:
            return (await shell.run("breaker", "list")).out

        told = await until(listed, lambda text: "north" in text)
        assert "pings failed, the last by server_error" in " ".join(told.split())
        assert "open" in told.splitlines()[1]
        await pauses.pause(shared_world.database, Pause("north", "default", "all failed", datetime.now(UTC)))
        words = " ".join((await until(listed, lambda text: "paused" in text)).split())
        assert "paused at 20" in words
        assert ": all failed" in words
        assert '"state": "paused"' in (await shell.run("breaker", "list", "--json")).out
        done = await shell.run("breaker", "reset", "north")
        assert done.out == "Reset: north.default.\n"
        await until(lambda: reason(shared_world, "north"), lambda found: found == 105)
        lost = await shell.run("breaker", "reset", "nobody")
        assert "there is no buyer nobody in the market" in lost.err
