"""`exchange market` and `exchange backtest`: versions, differences, the way back, and other rules for past pings."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from support.buyer import Buyer, bids
from support.commands import Shell, shell_on
from support.market import CONTACT, LEAD, Document, market

from exchange.commands.versions import log_table
from exchange.embedded.lease import Services
from exchange.storage.catalogue import Logged, Stamp


@pytest.fixture
def shell(services: Services, tmp_path: Path) -> Shell:
    return shell_on(services, tmp_path)


def written(shell: Shell, document: Document | str, name: str = "market.yaml") -> str:
    path = shell.folder / name
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def test_a_versions_time_stands_on_one_line_of_a_terminal() -> None:
    console = Console(record=True, width=80, file=io.StringIO())
    stamp = Stamp("back to version 1, for the new buyer was not ready", "MEkp1svTHCVE", 1, 2, 3)
    console.print(log_table([(Logged(12, datetime(2026, 11, 20, 8, 1, 12, tzinfo=UTC), stamp), (1, 2, 3))]))
    lines = console.export_text().splitlines()
    assert "     12  2026-11-20 08:01:12 " in lines[1]
    assert max(map(len, lines)) <= 80


async def test_versions_are_listed_compared_shown_and_gone_back_to(shell: Shell) -> None:
    assert "there is no market yet" in (await shell.run("market", "show")).err
    first = market({"high": "http://127.0.0.1:9"})
    first["buyers"]["high"]["endpoint"]["auth"] = {"bearer": "hush-hush"}
    await shell.run("apply", written(shell, first), "--yes", "--note", "the first :fire: [red]")
    second = first | {"campaigns": {"auto-us": first["campaigns"]["auto-us"] | {"floor": "6.50"}}}
    second["orders"] = second["orders"] | {"more": {"buyer": "high", "campaign": "auto-us", "priority": 2}}
    applied = await shell.run("apply", written(shell, second), "--yes")
    assert "warning: orders.more: is the same as high but for its priority" in " ".join(applied.out.split())

    listed = (await shell.run("market", "log")).out.splitlines()
    assert [line.split()[0] for line in listed] == ["version", "2", "1"]
    assert listed[1].split()[3:6] == ["1", "1", "0"]
    assert "the first :fire: [red]" in listed[2]  # as it was written
    assert "cli" in listed[2]
    assert len((await shell.run("market", "log", "--limit", "1")).out.splitlines()) == 2

    between = (await shell.run("market", "diff", "1", "2")).out.splitlines()
    assert between[0] == "~ campaigns.auto-us.floor: 5.00 -> 6.50"
    assert between[1].startswith("+ orders.more: {buyer: high")
    assert (await shell.run("market", "diff", "2", "2")).out.strip() == "Versions 2 and 2 are the same."
    assert "there is no market version 7" in (await shell.run("market", "diff", "1", "7")).err

    shown = (await shell.run("market", "show", "1")).out
    assert "hush" not in shown
    assert "bearer: '***'" in shown
    same = await shell.run("apply", written(shell, shown), "--dry-run")
    assert same.out.strip().splitlines()[0] == "~ campaigns.auto-us.floor: 6.50 -> 5.00", same.err
    assert json.loads((await shell.run("market", "show", "--json")).out)["campaigns"]["auto-us"]["floor"] == "6.50"

    refused = await shell.run("market", "rollback", "1")
    assert refused.status == 1
    assert len((await shell.run("market", "log")).out.splitlines()) == 3
    back = await shell.run("market", "rollback", "1", "--yes")
    assert back.out.splitlines()[-1] == "Market version 3 is in force."
    assert "- orders.more" in back.out
    assert "back to version 1" in (await shell.run("market", "log")).out
    assert (await shell.run("market", "diff", "1", "3")).out.strip() == "Versions 1 and 3 are the same."
    assert "there is no market version 9" in (await shell.run("market", "rollback", "9", "--yes")).err


async def test_a_covered_secret_that_is_nowhere_is_a_mistake(shell: Shell) -> None:
    document = market({"high": "http://127.0.0.1:9"})
    document["buyers"]["high"]["endpoint"]["auth"] = {"bearer": "***"}
    refused = await shell.run("apply", written(shell, document), "--yes")
    assert refused.status == 1
    assert refused.err.startswith("error: buyers.high.endpoint.auth.bearer: *** stands for the secret that is there")


async def test_past_pings_are_run_under_other_rules(shell: Shell) -> None:
    async with Buyer(bids("21.00")) as high, Buyer(bids("18.00")) as low:
        document = market({"high": high, "low": low}, orders={"low": {"filter": {"state": ["WI"]}}})
        await shell.run("apply", written(shell, document), "--yes")
        key = (await shell.run("keys", "create", "--seller", "acme")).out.strip()
        async with shell.serving("--no-worker") as serving:
            headers = {"Authorization": f"Bearer {key}"}
            async with httpx.AsyncClient(base_url=serving.url, trust_env=False, headers=headers) as client:
                for number in range(5):
                    sent = {"campaign": "auto-us", "lead": LEAD, "test": number == 4}
                    offered = (await client.post("/v1/ping", json=sent)).json()
                    if number == 0:
                        posted = await client.post("/v1/post", json={"ping_id": offered["ping_id"], "lead": CONTACT})
                        assert posted.json()["status"] == "accepted"
            assert await serving.stop() == 0
        changed = market({"high": high, "low": low}, margin={"percent": 25})
    path = written(shell, changed, "new.yaml")
    told = await shell.run("backtest", "--market", path, "--since", "1h", "--json")
    assert told.status == 0, told.err
    found = json.loads(told.out)
    assert (found["pings"], found["whole"], found["unknown"], found["pings_unknown"]) == (4, True, 4, 4)
    assert found["all"]["old"] == {"sold": 4, "gross": "84.00", "payout": "71.40", "margin": "12.60"}
    assert found["all"]["new"] == {"sold": 4, "gross": "84.00", "payout": "63.00", "margin": "21.00"}
    assert found["posted"]["new"] == {"sold": 1, "gross": "21.00", "payout": "15.75", "margin": "5.25"}
    assert found["buyers"] == {"high": {"old": {"sold": 4, "gross": "84.00"}, "new": {"sold": 4, "gross": "84.00"}}}

    some = json.loads((await shell.run("backtest", "--market", path, "--limit", "3", "--json")).out)
    assert (some["pings"], some["whole"]) == (3, False)
    shell.environment["COLUMNS"] = "80"
    shown = (await shell.run("backtest", "--market", path, "--campaign", "auto-us")).out
    assert max(map(len, shown.splitlines())) <= 80
    for words in ("4 pings", "posted then", "+8.40", "-8.40", "acme", "100.00 %", "unknown: 4 orders"):
        assert words in shown, shown
    for arguments in (("--since", "soon"), ("--since", "0d"), ("--campaign", "auto-uk")):
        assert (await shell.run("backtest", "--market", path, *arguments)).status == 1
