"""The admin API before any market was applied, and while Postgres is away."""

from pathlib import Path

from support.market import market
from support.world import World, open_world
from test_admin_contract import operator_of

from exchange.embedded.lease import Services


async def test_the_first_market_may_come_over_http(world: World) -> None:
    operator = await operator_of(world)
    assert (await operator.send("GET", "/market")).json()["code"] == "not_found"
    assert (await operator.get("/market/versions")) == {"versions": []}
    entry = {"buyer": "high", "campaign": "auto-us"}
    assert (await operator.send("PUT", "/market/orders/high", entry)).json()["code"] == "not_found"
    assert (await operator.send("DELETE", "/market/orders/high")).status_code == 404
    document = market({"high": "http://127.0.0.1:9"})
    assert (await operator.send("PUT", "/market", document, **{"If-Match": "*"})).status_code == 412
    made = await operator.send("PUT", "/market", document, **{"If-Match": '"0"'})
    assert (made.status_code, made.json()["base"], made.json()["applied"]) == (200, 0, True)
    assert "currency" in {change["path"] for change in made.json()["changes"]}


async def test_while_postgres_does_not_answer_it_is_unavailable(services: Services, tmp_path: Path) -> None:
    async with open_world(services, tmp_path, postgres_timeout_s=1.0) as world:
        operator = await operator_of(world)
        assert (await operator.send("GET", "/market")).status_code == 404
        async with world.holding("lock table market_versions in access exclusive mode"):
            answer = await operator.send("GET", "/market")
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "1")
