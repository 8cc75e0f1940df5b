"""`exchange explain` on a real exchange: every order once, the sums, the post, and the auction run again."""

import json
from pathlib import Path

import asyncpg
import httpx
import pytest
from support.buyer import REJECTS, Buyer, bids, says
from support.commands import Shell, shell_on
from support.market import CONTACT, LEAD, Document, market

from exchange.commands import explain
from exchange.embedded.lease import Services


@pytest.fixture
def shell(services: Services, tmp_path: Path) -> Shell:
    return shell_on(services, tmp_path)


async def ping_and_post(shell: Shell, document: Document) -> tuple[str, str]:
    """A market, a lead that is sold in it, and a ping that nobody wants; their ids."""
    path = shell.folder / "market.yaml"
    path.write_text(json.dumps(document))
    assert (await shell.run("apply", str(path), "--yes")).status == 0
    key = (await shell.run("keys", "create", "--seller", "acme")).out.strip()
    headers = {"Authorization": f"Bearer {key}"}
    async with shell.serving("--no-worker") as serving:
        async with httpx.AsyncClient(base_url=serving.url, trust_env=False, headers=headers) as client:
            sent = {"campaign": "auto-us", "lead": LEAD, "source": "fb-17", "ref": "r-1"}
            offered = (await client.post("/v1/ping", json=sent)).json()
            sold = (await client.post("/v1/post", json={"ping_id": offered["ping_id"], "lead": CONTACT})).json()
            assert sold["status"] == "accepted", sold
            dear = (await client.post("/v1/ping", json=sent | {"min_price": "90.00"})).json()
            assert dear["status"] == "unsold"
        assert await serving.stop() == 0
    return offered["ping_id"], dear["ping_id"]


async def test_a_sale_is_explained_and_its_auction_run_again(shell: Shell, services: Services) -> None:
    async with Buyer(bids("21.00"), REJECTS) as high, Buyer(bids("19.00")) as low, Buyer(says({"bid": 0})) as shy:
        document = market({"high": high, "low": low, "shy": shy})
        document["orders"]["old"] = {"buyer": "low", "campaign": "auto-us", "filter": {"age": {"min": 60}}}
        document["orders"]["off"] = {"buyer": "shy", "campaign": "auto-us", "paused": True}
        sold, dear = await ping_and_post(shell, document)

    told = await shell.run("explain", sold, "--json", "--replay")
    assert told.status == 0, told.err
    found = json.loads(told.out)
    assert [(item["order"], item["reason"]["code"], item["rank"]) for item in found["orders"]] == [
        ("high", 2, 1), ("low", 307, 2), ("shy", 1, None), ("off", 206, None), ("old", 201, None),
    ]  # fmt: skip
    assert found["orders"][-1]["failed"] == [{"field": "age", "path": "age", "wants": "{min: 60}", "value": 41}]
    assert (found["gross"], found["payout"], found["margin"]) == ("21.00", "17.85", "3.15")
    assert (found["source"], found["ref"], found["market_version"]) == ("fb-17", "r-1", 1)
    assert [(item["order"], item["reason"]["name"], item["margin"]) for item in found["post"]["attempts"]] == [
        ("high", "rejected_by_buyer", "3.15"), ("low", "accepted", "1.15"),
    ]  # fmt: skip
    assert found["replay"] == {"same": True, "winners": ["high"], "payout": "17.85", "differences": []}

    shell.environment["COLUMNS"] = "80"
    shown = await shell.run("explain", sold, "--replay")
    assert max(map(len, shown.out.splitlines())) <= 80
    for words in ("2 won", "307 outbid", "206 paused", "201 filtered (age = 41, wants", "The same: high wins, 17.85"):
        assert words in " ".join(shown.out.split()), shown.out
    for word in (CONTACT["first_name"], "555-0123", "5550123", "Canary"):
        assert word not in shown.out + told.out

    unsold = json.loads((await shell.run("explain", dear, "--json", "--replay")).out)
    assert (unsold["reason"]["code"], unsold["min_price"], unsold["replay"]["same"]) == (408, "90.00", True)
    assert {item["order"]: item["reason"]["code"] for item in unsold["orders"]}["high"] == 408
    shown = await shell.run("explain", dear, "--replay")
    assert "The same: it sells to nobody" in shown.out

    await changed(services, "update pings set payout_micros = 18000000 where ping_id = $1::text::uuid", sold)
    differs = await shell.run("explain", sold, "--replay")
    assert differs.status == 1
    assert "the payout: recorded 18.00, now 17.85" in differs.out
    assert (await shell.run("explain", sold)).status == 0
    await changed(services, "update market_versions set document = $1::text::json", "{}")
    lost = await shell.run("explain", sold, "--replay")
    assert (lost.status, "market version 1 cannot be read" in lost.err) == (1, True)
    without = await shell.run("explain", sold)
    assert (without.status, "2 won" in without.out, "filtered" in without.out.split("Market version")[0]) == (
        0, True, False,
    )  # fmt: skip


async def changed(services: Services, statement: str, argument: str) -> None:
    connection = await asyncpg.connect(services.postgres_url)
    try:
        await connection.execute(statement, argument)
    finally:
        await connection.close()


def test_several_values_are_told_as_the_market_file_has_them() -> None:
    assert explain._value(["audi", "fiat"]) == "[audi, fiat]"
    assert explain._value([3, 9]) == "[3, 9]"
