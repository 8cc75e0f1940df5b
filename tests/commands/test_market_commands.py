"""`exchange apply`, `keys`, `balance`, `explain`, `doctor`, `migrate`, `settings`: what a person types and reads."""

import asyncio
import json
from pathlib import Path

import asyncpg
import httpx
import pytest
from support.buyer import Buyer, bids
from support.commands import Shell, shell_on
from support.market import CONTACT, LEAD, Document, market

from exchange.embedded.lease import Services


@pytest.fixture
def shell(services: Services, tmp_path: Path) -> Shell:
    return shell_on(services, tmp_path)


def written(folder: Path, document: Document) -> str:
    """A market file; JSON is YAML."""
    path = folder / "market.yaml"
    path.write_text(json.dumps(document))
    return str(path)


async def test_a_market_file_is_shown_then_applied_then_compared(shell: Shell) -> None:
    path = written(shell.folder, market({"high": "http://127.0.0.1:9"}))
    shown = await shell.run("apply", path, "--dry-run")
    assert (shown.status, "+ orders.high" in shown.out, "in force" in shown.out) == (0, True, False)

    applied = await shell.run("apply", path, "--yes")
    assert applied.status == 0
    assert applied.out.splitlines()[-1] == "Market version 1 is in force."

    again = await shell.run("apply", path, "--yes")
    assert "Nothing to change" in again.out
    changed = written(shell.folder, market({"high": "http://127.0.0.1:9"}, floor="6.00"))
    difference = await shell.run("apply", changed, "--dry-run")
    assert difference.out.strip() == "~ campaigns.auto-us.floor: 5.00 -> 6.00"


async def test_a_market_is_not_applied_where_nobody_agrees(shell: Shell) -> None:
    path = written(shell.folder, market({"high": "http://127.0.0.1:9"}))
    refused = await shell.run("apply", path)
    assert refused.status == 1
    assert (await shell.run("keys", "create", "--seller", "acme")).status == 1


async def test_five_errors_of_a_market_file_are_listed_at_once_and_change_nothing(shell: Shell) -> None:
    document = market({"high": "http://127.0.0.1:9"}, floor="five", sale="twice", colour="red")
    document["sellers"]["acme"]["campaigns"] = ["auto-uk"]
    document["orders"]["high"]["filter"] = {"age": {"min": 70, "max": 20}}
    failed = await shell.run("apply", written(shell.folder, document), "--yes")
    assert failed.status == 1
    *problems, last = failed.err.splitlines()
    paths = {line.removeprefix("error: ").partition(": ")[0] for line in problems}
    assert (
        paths
        == {
            "campaigns.auto-us.floor",
            "campaigns.auto-us.sale",
            "campaigns.auto-us.colour",
            "sellers.acme.campaigns",
            "orders.high.filter.age",
        }
        or len(problems) == 5
    ), failed.err
    assert last == "exchange: 5 problems in the market file; nothing was changed"
    assert "there is no market" in (await shell.run("balance", "add", "high", "5.00")).err


async def test_whoever_says_no_changes_nothing_and_a_script_can_tell(shell: Shell) -> None:
    file = written(shell.folder, market({"high": "http://127.0.0.1:9"}))
    refused = await shell.run("apply", file, said="n\n")
    assert (refused.status, "orders.high" in refused.out) == (1, True)
    assert "there is no market" in (await shell.run("balance", "add", "high", "5.00")).err
    assert (await shell.run("apply", file, said="y\n")).status == 0
    assert (await shell.run("market", "rollback", "1", said="n\n")).status == 0  # there was nothing to ask


async def test_a_missing_secret_is_a_warning_that_names_it(shell: Shell) -> None:
    document = market({"high": "http://127.0.0.1:9"})
    document["buyers"]["high"]["endpoint"]["auth"] = {"bearer": "${env:NOBODY_SET_THIS}"}
    applied = await shell.run("apply", written(shell.folder, document), "--yes")
    assert applied.status == 0
    assert "NOBODY_SET_THIS is not set here" in " ".join(applied.out.split())


async def test_keys_are_made_listed_and_revoked(shell: Shell) -> None:
    assert "apply a market file first" in (await shell.run("keys", "create", "--seller", "acme")).err
    await shell.run("apply", written(shell.folder, market({"high": "http://127.0.0.1:9"})), "--yes")
    typo = await shell.run("keys", "create", "--seller", "amce")
    assert (typo.status, typo.err.strip()) == (
        1,
        "exchange: there is no seller amce in the market; it has acme, other, shut",
    )
    plain = (await shell.run("keys", "create", "--seller", "acme")).out.strip()
    as_json = json.loads((await shell.run("keys", "create", "--seller", "acme", "--json")).out)
    assert plain != as_json["key"]
    assert (await shell.run("keys", "create")).status == 2

    listed = (await shell.run("keys", "list")).out
    assert listed.count("acme") == 2
    assert plain.split("_")[2] not in listed
    assert (await shell.run("keys", "revoke", plain.split("_")[1])).status == 0
    assert (await shell.run("keys", "revoke", plain.split("_")[1])).status == 1


async def test_a_deposit_is_shown_and_a_wrong_one_refused(shell: Shell) -> None:
    await shell.run("apply", written(shell.folder, market({"high": "http://127.0.0.1:9"})), "--yes")
    added = await shell.run("balance", "add", "high", "500.00", "--note", "wire 17")
    assert (added.status, "500.00" in added.out, "100500.00" in added.out) == (0, True, True)
    assert (await shell.run("balance", "add", "nobody", "1.00")).err.strip() == "exchange: there is no buyer nobody"
    for amount in ("-5", "5,00", "0", "1e3"):
        assert (await shell.run("balance", "add", "high", "--", amount)).status == 2
    assert "12 digits before" in (await shell.run("balance", "add", "high", "1234567890123")).err
    for note in ("n" * 501, "red \x1b[31m"):
        refused = await shell.run("balance", "add", "high", "1.00", "--note", note)
        assert refused.err.strip() == "exchange: the note has at most 500 printable characters"
    too_much = (await shell.run("balance", "add", "high", "999999999999.00")).err
    assert "more than 999999999999.999999, the most that a balance can be" in too_much
    assert " 500.00" in (await shell.run("balance", "show", "high")).out


async def test_a_change_holds_in_the_gateway_within_two_seconds_and_a_ping_is_explained(shell: Shell) -> None:
    async with Buyer(bids("21.00")) as high, Buyer(bids("18.00")) as low:
        await shell.run("apply", written(shell.folder, market({"high": high})), "--yes")
        key = (await shell.run("keys", "create", "--seller", "acme")).out.strip()
        async with shell.serving() as serving, httpx.AsyncClient(base_url=serving.url, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {key}"}
            changed = market({"high": high, "low": low}, orders={"high": {"paused": True}})
            changed["orders"]["old"] = {"buyer": "low", "campaign": "auto-us", "filter": {"age": {"min": 60}}}
            changed["orders"]["far"] = {"buyer": "low", "campaign": "auto-us", "filter": {"or": [{"zip": "53202"}]}}
            await shell.run("apply", written(shell.folder, changed), "--yes")
            await asyncio.sleep(2)
            answer = await client.post("/v1/ping", json={"campaign": "auto-us", "lead": LEAD}, headers=headers)
            ping_id = answer.json()["ping_id"]
            assert answer.json()["price"] == "15.30"
            sold = await client.post("/v1/post", json={"ping_id": ping_id, "lead": CONTACT}, headers=headers)
            assert sold.json()["status"] == "accepted"
            assert await serving.stop() == 0
    told = (await shell.run("explain", ping_id)).out
    assert "18.00 = 15.30 to the seller + 2.70 margin; ladder: low" in told
    for line in (
        "2 won",
        "206 paused",
        "201 filtered (age = 41, wants {min: 60})",
        "201 filtered (or[0].zip = 60601, wants [53202])",
    ):
        assert line in told
    unknown = await shell.run("explain", "01a204b7-dced-713b-ad16-8f33d863818d")
    assert (unknown.status, "there is no ping" in unknown.err) == (1, True)


async def test_the_doctor_finds_money_that_does_not_add_up(shell: Shell, services: Services) -> None:
    await shell.run("apply", written(shell.folder, market({"high": "http://127.0.0.1:9"})), "--yes")
    well = await shell.run("doctor")
    assert well.status == 0, well.out
    connection = await asyncpg.connect(services.postgres_url)
    await connection.execute("update accounts set balance_micros = 1 where kind = 'buyer' and owner = 'high'")
    await connection.close()
    ill = await shell.run("doctor")
    assert ill.status == 1
    assert "wrong every buyer's balance is the sum of its transfers: broken by 1 rows" in ill.out


async def test_the_schema_is_shown_and_an_unknown_one_refused(shell: Shell, services: Services) -> None:
    assert "applied  0001_sale_path" in (await shell.run("migrate", "--status")).out
    assert (await shell.run("migrate")).out.strip() == "The schema is up to date."
    connection = await asyncpg.connect(services.postgres_url)
    await connection.execute("insert into schema_migrations (number, name, sha256) values (9999, 'later', '\\x00')")
    await connection.close()
    for command in (["serve", "--port", "0"], ["migrate"], ["doctor"]):
        refused = await shell.run(*command)
        assert refused.status == 1
        assert "which this version does not know" in refused.err + refused.out


async def test_settings_are_listed_and_a_wrong_one_is_named(shell: Shell) -> None:
    assert "EXCHANGE_JOURNAL_ROWS_MAX" in (await shell.run("settings")).out
    shell.environment["EXCHANGE_JOURNAL_ROWS_MAX"] = "many"
    wrong = await shell.run("doctor")
    assert (wrong.status, wrong.err.count("EXCHANGE_JOURNAL_ROWS_MAX")) == (1, 1)
