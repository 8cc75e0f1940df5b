"""`exchange check` and `exchange buyer`: recorded cases, and samples sent to buyers on real sockets."""

import json
import os
import shutil
from pathlib import Path

import asyncpg
import pytest
from support.buyer import Answer, Buyer, Received, bids, reply, says, silent
from support.commands import Done, Shell, shell_on
from support.market import CONTACT, LEAD, Document, market

from exchange.commands.cases import check
from exchange.embedded.lease import Services

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/buyers"
BID = {"status": "success", "price": "21.00", "auth_code": "T1"}
PLAIN: Document = {
    "dialect": "plain",
    "auth": {"query": {"name": "api", "value": "${env:API}"}},
    "mapping": {
        "ping": {"fields": {"key": {"secret": "${env:KEY}"}, "zip": "zip", "test": {"value": "test"}}},
        "post": {
            "fields": {"key": {"secret": 'out/of"hand'}, "zip": "zip", "phone": "phone", "test": {"value": "test"}}
        },
    },
}
API, KEY, LITERAL = "q&1 secret", 'k-1"<é', 'out/of"hand'


@pytest.fixture
def shell(services: Services, tmp_path: Path) -> Shell:
    made = shell_on(services, tmp_path)
    made.environment.update(API=API, KEY=KEY)
    return made


@pytest.fixture
def local(tmp_path: Path) -> Shell:
    """A shell without any server."""
    return Shell({name: value for name, value in os.environ.items() if not name.startswith("EXCHANGE_")}, tmp_path)


async def apply(shell: Shell, document: Document) -> None:
    (shell.folder / "market.yaml").write_text(json.dumps(document))
    applied = await shell.run("apply", "market.yaml", "--yes")
    assert applied.status == 0, applied.err


async def tried(shell: Shell, *words: str, order: str = "north", lead: Document | None = None) -> Done:
    (shell.folder / "sample.json").write_text(json.dumps(LEAD | CONTACT if lead is None else lead))
    command, *more = words or ("try",)
    return await shell.run("buyer", command, order, "--lead", "sample.json", *more)


def plain_market(buyer: Buyer) -> Document:
    document = market({"north": buyer})
    document["buyers"]["north"]["endpoint"] |= PLAIN
    return document


# exchange check


async def test_all_examples_agree(local: Shell) -> None:
    done = await local.run("check", str(EXAMPLES))
    assert (done.status, done.err) == (0, "")
    count = len([path for path in EXAMPLES.rglob("*.yaml") if path.name != "endpoint.yaml"])
    assert done.out == f"{count} cases: {count} agree, 0 differ.\n"


def test_there_is_an_example_of_every_dialect() -> None:
    dialects = {path.name for path in (ROOT / "tests/cases/dialects").iterdir() if path.is_dir()}
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == {"native", *dialects}
    for path in EXAMPLES.rglob("*.yaml"):
        assert path.name == "endpoint.yaml" or len(path.stem.split("-")) >= 4


async def test_a_changed_case_is_told_in_80_columns(local: Shell) -> None:
    shutil.copytree(EXAMPLES / "plain", local.folder / "plain")
    path = local.folder / "plain/a-ping-is-sent-as-the-buyer-wants-it.yaml"
    path.write_text(path.read_text().replace('"age":41', f'"age":"{"4" * 100}"'))
    done = await local.run("check", "plain")
    assert done.status == 1
    lines = done.out.splitlines()
    assert lines[:2] == ["plain/a-ping-is-sent-as-the-buyer-wants-it.yaml:", "  sends the body"]
    assert lines[2].startswith("""    expected  '{"key":"k-1","zip":"60601","age":"44444""")
    assert """    made      '{"key":"k-1","zip":"60601","age":41,"credit":2}'""" in lines
    assert lines[-2] == "    differs from  character 35 on"
    assert lines[-1] == "4 cases: 3 agree, 1 differs."
    assert max(map(len, lines)) <= 80


async def test_an_answer_that_means_something_else_is_told(local: Shell) -> None:
    shutil.copytree(EXAMPLES / "px", local.folder / "px")
    path = local.folder / "px/a-no-is-no-bid.yaml"
    path.write_text(path.read_text().replace("refused: no_bid", "refused: invalid_price", 1))
    done = await local.run("check", "px/a-no-is-no-bid.yaml")
    assert done.status == 1
    assert "  answer 1 means\n    expected  {'refused': 'invalid_price'}\n    made      {'refused'" in done.out


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("- 1\n", "must be a mapping"),
        ("why: x\nping: {}\n", "a case that expects nothing"),
        ("why: x\nping: {}\nsends: {body: 7}\n", "body in sends is no text"),
        ("why: x\nping: {}\nsends: {body_hex: zz}\n", "no text of hexadecimal digits"),
        ("why: x\nping: {floor: much}\nsends: {body: ''}\n", "'much' is not an amount"),
        ("why: x\nping: {sale: twice}\nsends: {body: ''}\n", "sale in ping is"),
        ("why: x\nping: {}\nanswers: [{status: ok, means: unknown}]\n", "status in answers"),
        ("why: x\nping: {}\nanswers: [{means: 7}]\n", "means is neither a word nor a mapping"),
        ("why: x\nping: {}\nanswers: {means: 7}\n", "answers is no list"),
        ("why: x\nping: {}\nsends: {body: ''}\n", "no endpoint"),
        ("why: x\nping: {}\nsends: {body: ''}\nendpoint: {dialect: x}\n", "dialect"),
        ("why: x\nping: {}\nsends: {body: ''}\nendpoint: {post_url: 'https://b.example/'}\n", "has no ping_url"),
        ("why: x\npost: {}\nsends: {body: ''}\nendpoint: {email: {to: [desk@b.example]}}\n", "no wire to check"),
        ("why: x\npost: {}\nsends: {body: ''}\nendpoint: {post_url: 'https://b.example', auth: {bearer: '${env:K}'}}\n",
         "no value for a secret"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_case_says_why_and_the_others_are_run(tmp_path: Path, text: str, told: str) -> None:
    shutil.copytree(EXAMPLES / "native", tmp_path / "native")
    (tmp_path / "broken.yaml").write_text(text)
    lines, all_agree = check([tmp_path])
    assert not all_agree
    assert lines[-1] == "3 cases: 2 agree, 0 differ, 1 is no case."
    assert lines[0].startswith(f"{tmp_path}/broken.yaml:")
    assert told in " ".join(line.strip() for line in lines)


async def test_a_folder_without_cases_is_an_error(local: Shell) -> None:
    assert "there is no away" in (await local.run("check", "away")).err
    (local.folder / "empty").mkdir()
    empty = await local.run("check", "empty")
    assert (empty.status, "has no cases" in empty.err) == (1, True)


# exchange buyer try


async def test_a_sample_is_sent_as_a_test_and_secrets_are_covered(shell: Shell, services: Services) -> None:
    echo = says(BID | {"echo": [KEY, API, LITERAL]})
    async with Buyer(echo, says({"status": "success", "echo": LITERAL})) as buyer:
        await apply(shell, plain_market(buyer))
        done = await tried(shell, "try", "--post")
    assert done.status == 0, done.err
    [ping], [post] = buyer.pings, buyer.posts
    assert ping.json == {"key": KEY, "zip": "60601", "test": True}
    assert post.json["phone"] == "+13125550123"
    assert (post.json["key"], post.json["test"], post.json["auth_code"]) == (LITERAL, True, "T1")
    assert ping.headers["exchange-timeout-ms"] == "2000"
    assert "Ping to north, as a test:\n> POST /bid?api=*** HTTP/1.1\n" in done.out
    assert '> {"key":"***","zip":"60601","test":true}' in done.out
    assert '"echo": ["***", "***", "***"]' in done.out
    assert "It means: bid: 21.00, bid_id: T1\n" in done.out
    assert "Post to north, as a test:\n> POST /post?api=*** HTTP/1.1\n" in done.out
    assert "It means: accepted: True" in done.out
    for secret in (API, KEY, LITERAL, "q%261", json.dumps(KEY)[1:-1], json.dumps(LITERAL)[1:-1]):
        assert secret not in done.out + done.err
    connection = await asyncpg.connect(services.postgres_url)
    for count in ("select count(*) from pings", "select count(*) from posts", "select count(*) from attempts"):
        assert await connection.fetchval(count) == 0
    await connection.close()


async def test_an_access_token_is_fetched_and_covered(shell: Shell) -> None:
    token = "t-0123456789"

    def answers(received: Received) -> Answer:
        if received.path == "/token":
            return reply({"access_token": token, "token_type": "bearer"})
        assert received.headers["authorization"] == f"Bearer {token}"
        return reply({"bid": "21.00", "echo": token})

    async with Buyer(answers) as buyer:
        document = market({"north": buyer})
        terms = {"token_url": f"{buyer.url}/token", "client_id": "lx", "secret": "${env:API}"}
        document["buyers"]["north"]["endpoint"]["auth"] = {"oauth2": terms}
        await apply(shell, document)
        done = await tried(shell, "try", "--post")
        kept = await tried(shell, "record", "--out", "case.yaml")
        document["buyers"]["north"]["endpoint"]["auth"]["oauth2"]["token_url"] = f"{buyer.url}/nothing"
        buyer.on_ping = says({}, 404)
        await apply(shell, document)
        without = await tried(shell)
    assert done.status == 0, done.err
    assert "> Authorization: Bearer ***" in done.out
    assert "It means: accepted: True" in done.out
    assert kept.status == 0, kept.err
    assert token not in done.out + done.err + kept.out + (shell.folder / "case.yaml").read_text()
    assert without.status == 1
    assert "Nothing more was sent: no access token." in without.out


async def test_a_sample_need_not_have_what_a_ping_has_not(shell: Shell) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await apply(shell, market({"north": buyer}))
        done = await tried(shell, lead=LEAD)
        short = await tried(shell, "try", "--post", lead=LEAD)
    assert (done.status, len(buyer.pings), buyer.posts) == (0, 1, [])
    assert buyer.pings[0].json["test"] is True
    assert short.status == 1
    assert "first_name: " in short.err


async def test_what_is_not_clear_is_told_by_the_exit_status(shell: Shell) -> None:
    async with Buyer(says({"bid": "much"})) as buyer:
        await apply(shell, market({"north": buyer}))
        wrong = await tried(shell, "try", "--post")
        buyer.on_ping = says({"bid": None})
        none = await tried(shell)
        unposted = await tried(shell, "try", "--post")
        buyer.on_ping = says(b"\x1b[2J\x00\xff")
        odd = await tried(shell)
    assert (wrong.status, none.status, unposted.status, odd.status) == (1, 0, 1, 1)
    assert "It means: refused: invalid_price" in wrong.out
    assert "There is no bid, so nothing was posted." in unposted.out
    assert "< \\u001b[2J\\u0000\\xff" in odd.out
    assert buyer.posts == []


async def test_silence_and_private_addresses_are_told(shell: Shell) -> None:
    async with Buyer(silent) as buyer:
        document = market({"north": buyer})
        document["buyers"]["north"]["endpoint"]["ping_timeout_ms"] = 100
        await apply(shell, document)
        quiet = await tried(shell)
        shell.environment["EXCHANGE_ALLOW_PRIVATE_ADDRESSES"] = "0"
        kept_out = await tried(shell)
    assert (quiet.status, kept_out.status) == (1, 1)
    assert "No answer.\nIt means: unknown: True, detail: silence" in quiet.out
    assert "It means: not_sent: True" in kept_out.out
    assert len(buyer.pings) == 1


async def test_an_endpoint_that_cannot_mark_tests_is_refused(shell: Shell) -> None:
    async with Buyer(says(BID)) as buyer:
        document = plain_market(buyer)
        del (mapping := json.loads(json.dumps(PLAIN["mapping"])))["ping"]["fields"]["test"]
        document["buyers"]["north"]["endpoint"]["mapping"] = mapping
        await apply(shell, document)
        refused = await tried(shell)
        assert (refused.status, buyer.pings) == (1, [])
        assert "cannot mark tests" in refused.err
        sent = await tried(shell, "try", "--post", "--not-a-test")
    assert "Ping to north, as a lead, not a test:" in sent.out
    assert (len(buyer.pings), buyer.posts[0].json["test"]) == (1, False)


async def test_an_order_that_is_delivered_to_by_mail_is_not_tried(shell: Shell) -> None:
    document = market({"north": "http://127.0.0.1:9"}, orders={"north": {"price": "12.00"}})
    document["buyers"]["north"]["endpoint"] = {"email": {"to": ["desk@buyer.example"]}}
    await apply(shell, document)
    done = await tried(shell, "try", "--post")
    assert (done.status, "delivered to by email" in done.err) == (1, True)


async def test_an_order_with_a_fixed_price_is_not_asked(shell: Shell) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await apply(shell, market({"north": buyer}, orders={"north": {"price": "12.00"}}))
        unasked = await tried(shell)
        done = await tried(shell, "try", "--post")
    assert (unasked.status, "fixed price" in unasked.err) == (1, True)
    assert (done.status, buyer.pings, buyer.posts[0].json["price"]) == (0, [], "12.00")


async def test_what_cannot_be_tried_is_refused_in_one_line(shell: Shell) -> None:
    assert "there is no market yet" in (await tried(shell)).err
    async with Buyer(says(BID)) as buyer:
        await apply(shell, plain_market(buyer))
        assert "there is no order south" in (await tried(shell, order="south")).err
        assert "zip: " in (await tried(shell, lead={"zip": "x"})).err
        (shell.folder / "list.json").write_text("[1]")
        assert "no JSON object" in (await shell.run("buyer", "try", "north", "--lead", "list.json")).err
        assert "cannot be read" in (await shell.run("buyer", "try", "north", "--lead", "away.json")).err
        del shell.environment["KEY"]
        unset = await tried(shell)
        assert (unset.status, unset.err.strip().endswith("cannot be sent: KEY")) == (1, True)
    assert buyer.pings == []


# exchange buyer record


async def test_what_was_answered_is_a_case_that_check_runs(shell: Shell, local: Shell) -> None:
    async with Buyer(says(BID | {"echo": KEY}), lambda _: reply({"status": "duplicate", "who": LITERAL})) as buyer:
        await apply(shell, plain_market(buyer))
        ping = await tried(shell, "record", "--out", "ping.yaml")
        post = await tried(shell, "record", "--post", "--out", "post.yaml")
        again = await tried(shell, "record", "--out", "ping.yaml")
    assert (ping.status, ping.err, post.status, post.err) == (0, "", 0, "")
    assert ping.out.endswith("Recorded in ping.yaml.\n")
    assert (again.status, "is there already" in again.err, len(buyer.pings)) == (1, True, 2)
    for name in ("ping.yaml", "post.yaml"):
        checked = await local.run("check", name)
        assert (checked.status, checked.out) == (0, "1 case: 1 agrees, 0 differ.\n")
    text = (shell.folder / "ping.yaml").read_text() + (shell.folder / "post.yaml").read_text()
    for secret in (API, KEY, LITERAL, json.dumps(LITERAL)[1:-1]):
        assert secret not in text
    assert "${env:KEY}" in text
    assert "rejected: duplicate_at_buyer" in text

    changed = (shell.folder / "ping.yaml").read_text().replace("'21.00'", "'20.00'")
    (shell.folder / "changed.yaml").write_text(changed)
    assert (await local.run("check", "changed.yaml")).status == 1


async def test_the_status_of_a_post_is_asked_for_and_recorded(shell: Shell, local: Shell) -> None:
    status = {
        "method": "GET", "body": "query", "fields": {"id": {"value": "bid_id"}, "k": {"secret": "${env:KEY}"}},
        "reply": {"format": "json", "success": {"at": "is", "is": "sold"}, "not_found": {"at": "is", "is": "nowhere"}},
    }  # fmt: skip

    def answers(received: Received) -> Answer:
        return reply({"is": "nowhere", "echo": KEY} if received.path.startswith("/status") else BID)

    async with Buyer(answers, says({"status": "success"})) as buyer:
        document = plain_market(buyer)
        await apply(shell, document)
        nowhere = await tried(shell, "try", "--post", "--status")
        endpoint = document["buyers"]["north"]["endpoint"]
        endpoint |= {"status_url": f"{buyer.url}/status", "mapping": endpoint["mapping"] | {"status": status}}
        await apply(shell, document)
        unposted = await tried(shell, "try", "--status")
        done = await tried(shell, "try", "--post", "--status")
        kept = await tried(shell, "record", "--post", "--status", "--out", "case.yaml")
        question = buyer.pings[-1]
    assert (nowhere.status, "the endpoint has no status_url" in nowhere.err) == (1, True)
    assert (unposted.status, "say --post, too" in unposted.err) == (1, True)
    assert (done.status, done.err, kept.status, kept.err) == (0, "", 0, "")
    assert "Status query to north, as a test:\n> GET /status?id=T1&k=***&api=*** HTTP/1.1" in done.out
    assert "It means: not_sent: True" in done.out
    assert (question.method, question.body) == ("GET", b"")
    text = (shell.folder / "case.yaml").read_text()
    assert KEY not in text + done.out
    assert "status:" in text
    assert "first_name" not in text
    assert (await local.run("check", "case.yaml")).status == 0


async def test_a_native_answer_in_another_currency_is_recorded_as_it_was(shell: Shell, local: Shell) -> None:
    async with Buyer(says({"bid": "21.00", "currency": "EUR"})) as buyer:
        await apply(shell, market({"north": buyer}) | {"currency": "EUR"})
        done = await tried(shell, "record", "--out", "case.yaml")
    assert (done.status, done.err) == (0, "")
    assert (await local.run("check", "case.yaml")).status == 0
    assert "currency: EUR" in (shell.folder / "case.yaml").read_text()


async def test_without_an_answer_nothing_is_recorded(shell: Shell) -> None:
    await apply(shell, market({"north": "http://127.0.0.1:9"}))
    done = await tried(shell, "record", "--out", "case.yaml")
    assert (done.status, "there was no answer" in done.err) == (1, True)
    assert not (shell.folder / "case.yaml").exists()
