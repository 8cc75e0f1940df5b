"""A door in trouble: every request is answered and counted, and the log is not flooded."""

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from exchange.api import door as doors
from exchange.api import problems
from exchange.api.door import Arrival, Door
from exchange.errors import StorageUnavailable
from exchange.observe.metrics import REGISTRY

UNAVAILABLE = ("exchange_problems_total", {"door": "always_away", "code": "unavailable"})


async def always_away(_: Arrival) -> bytes:
    raise StorageUnavailable("Postgres did not answer in time")


async def test_that_postgres_is_away_is_said_once_a_second_and_not_for_each_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(doors, "SAY_EVERY_S", 1_000.0)
    door, before = Door(always_away), REGISTRY.get(*UNAVAILABLE) or 0
    with capture_logs() as lines:
        for _ in range(50):
            answer = await door.answer(Arrival("/v1/pings/ann.canary@example.com", (), 0.0, content=b""))
            assert answer is not None
            assert answer[0] == 503
        assert [(line["event"], line["count"]) for line in lines] == [("storage_unavailable", 1)]
        assert lines[0]["name"] == "always_away"
        monkeypatch.setattr(doors, "SAY_EVERY_S", 0.0)
        await door.answer(Arrival("/v1/pings/ann.canary@example.com", (), 0.0, content=b""))
    assert [line["count"] for line in lines] == [1, 50]
    assert "canary" not in str(lines)
    assert REGISTRY.get(*UNAVAILABLE) == before + 51


async def test_no_path_of_a_request_comes_into_the_log() -> None:
    async def broken(_: Arrival) -> bytes:
        raise ValueError

    with capture_logs() as lines:
        answer = await Door(broken).answer(Arrival("/v1/posts/ann.canary@example.com", (), 0.0, content=b""))
    assert answer is not None
    assert answer[0] == 500
    assert [(line["event"], line["name"]) for line in lines] == [("request_failed", "broken")]
    assert "canary" not in str(lines)


async def test_nor_of_one_to_the_frameworks_own_doors() -> None:
    app = FastAPI()
    problems.install(app)

    @app.get("/admin/v1/pings/{ping_id}")
    async def away(ping_id: str) -> None:
        raise StorageUnavailable(f"not about {len(ping_id)} characters")

    transport = httpx.ASGITransport(app)
    with capture_logs() as lines:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            answer = await client.get("/admin/v1/pings/ann.canary@example.com")
    assert answer.status_code == 503
    assert [line["path"] for line in lines] == ["/admin/v1/pings/{ping_id}"]
    assert "canary" not in str(lines)
