"""A door in trouble: every request is answered and counted, and the log is not flooded."""

import pytest
from structlog.testing import capture_logs

from exchange.api import door as doors
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
            answer = await door.answer(Arrival("/v1/ping", (), 0.0, content=b""))
            assert answer is not None
            assert answer[0] == 503
        assert [(line["event"], line["count"]) for line in lines] == [("storage_unavailable", 1)]
        monkeypatch.setattr(doors, "SAY_EVERY_S", 0.0)
        await door.answer(Arrival("/v1/ping", (), 0.0, content=b""))
    assert [line["count"] for line in lines] == [1, 50]
    assert REGISTRY.get(*UNAVAILABLE) == before + 51
