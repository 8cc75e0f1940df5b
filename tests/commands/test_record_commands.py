"""`exchange attempts`, `returns`, `ledger`, `erase` and the worker beside them: what an operator types and reads."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from rich.console import Console
from support.buyer import Buyer, Received, bids, reply
from support.commands import PATIENCE_S, Shell, shell_on
from support.market import CONTACT, LEAD, Document, market
from support.waiting import until

from exchange.commands.records import lines_table
from exchange.embedded.lease import Services
from exchange.ports import free_port
from exchange.storage.accounts import Line


@pytest.fixture
def shell(services: Services, tmp_path: Path) -> Shell:
    return shell_on(services, tmp_path)


def forgetful(received: Received) -> bytes:
    """Breaks down over the first post, and knows afterwards what he did."""
    return reply({}, 500) if received.path == "/post" else reply({"status": "accepted"})


async def open_market(shell: Shell, document: Document) -> dict[str, str]:
    """Applies a market; the headers of its seller."""
    path = shell.folder / "market.yaml"
    path.write_text(json.dumps(document))
    assert (await shell.run("apply", str(path), "--yes")).status == 0
    return {"Authorization": "Bearer " + (await shell.run("keys", "create", "--seller", "acme")).out.strip()}


async def post(client: httpx.AsyncClient) -> Document:
    offer = (await client.post("/v1/ping", json={"campaign": "auto-us", "lead": LEAD})).json()
    sold: Document = (await client.post("/v1/post", json={"ping_id": offer["ping_id"], "lead": CONTACT})).json()
    return sold


async def test_an_unknown_attempt_is_listed_settled_returned_and_erased(shell: Shell) -> None:
    async with Buyer(bids("21.00"), forgetful) as buyer:
        headers = await open_market(shell, market({"only": buyer}))
        assert json.loads((await shell.run("attempts", "list", "--json")).out) == []
        async with shell.serving("--no-worker") as serving:
            async with httpx.AsyncClient(base_url=serving.url, trust_env=False, headers=headers) as client:
                sold = await post(client)
                assert sold["status"] == "pending"
                [listed] = json.loads((await shell.run("attempts", "list", "--json")).out)
                assert (listed["post_id"], listed["gross"], listed["asked"]) == (sold["post_id"], "21.00", 0)
                shown = (await shell.run("attempts", "list")).out
                assert all(word in shown for word in (listed["attempt_id"], "only", "21.00", "0m", "HTTP 500"))

                attempt_id, post_id = listed["attempt_id"], sold["post_id"]
                resolve = ("attempts", "resolve", attempt_id, "accepted", "--note", "his log of Monday")
                settled = await shell.run(*resolve)
                assert settled.out.strip() == f"unknown -> accepted: only 21.00, acme 17.85 USD; post {post_id}"
                again = await shell.run(*resolve)
                assert (again.status, again.err.strip()) == (
                    1,
                    f"exchange: attempt {attempt_id} was left as it is: it is accepted",
                )
                returned = await shell.run("returns", "add", post_id, "--reason", "wrong_number")
                assert returned.out.strip() == "Returned: 21.00 USD to only, 17.85 from acme."
                twice = await shell.run("returns", "add", post_id, "--reason", "wrong_number")
                assert (twice.status, "was returned already" in twice.err) == (1, True)
                now = (await client.get(f"/v1/posts/{post_id}")).json()
                assert (now["status"], now["returned"]["price"]) == ("accepted", "17.85")
            await serving.stop()
        lines = (await shell.run("ledger", "buyer", "only")).out
        assert [line.split()[3:5] for line in lines.splitlines()[1:]] == [
            ["return_charge", "21.00"],
            ["charge", "-21.00"],
        ]
        assert len((await shell.run("ledger", "exchange", "margin", "--limit", "1")).out.splitlines()) == 2
        story = (await shell.run("explain", sold["ping_id"])).out
        assert "unknown -> accepted by operator (his log of Monday)" in story
        assert "returned: wrong_number" in story
        erased = await shell.run("erase", sold["ping_id"])
        assert erased.out.strip() == f"The lead of post {post_id} is erased: nobody can open it any more."
        assert "was erased before" in (await shell.run("erase", post_id)).out
    doctor = await shell.run("doctor")
    assert (doctor.status, "wrong" in doctor.out) == (0, False)


async def test_a_worker_resolves_by_itself_and_shows_how_it_is_doing(shell: Shell) -> None:
    async with Buyer(bids("21.00"), forgetful) as buyer:
        buyer.on_ping = lambda received: (
            reply({"status": "accepted"}) if received.path.startswith("/status") else reply({"bid": "21.00"})
        )
        document = market({"only": buyer})
        document["buyers"]["only"]["endpoint"]["status_url"] = f"{buyer.url}/status"
        headers = await open_market(shell, document)
        port = shell.environment["EXCHANGE_WORKER_METRICS_PORT"] = str(free_port())
        async with (
            shell.serving() as serving,
            httpx.AsyncClient(base_url=serving.url, trust_env=False, headers=headers) as client,
        ):
            sold = await post(client)

            async def state() -> str:
                return str((await client.get(f"/v1/posts/{sold['post_id']}")).json()["status"])

            await until(state, lambda found: found == "accepted", PATIENCE_S)
            shown = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
            assert (await client.get(f"http://127.0.0.1:{port}/livez")).status_code == 200
            assert 'exchange_attempts_resolved_total{buyer="only",how="status",reason="accepted"} 1.0' in shown
            assert 'exchange_sales_micros_total{campaign="auto-us",part="gross"} 2.1e+07' in shown
            everything = (await client.get("/metrics")).text  # the worker's sale is in the gateway's figures
            assert 'exchange_sales_total{campaign="auto-us",how="status"} 1.0' in everything
            assert 'exchange_processes{role="worker"} 1.0' in everything
            assert await serving.stop() == 0


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (("attempts", "resolve", str(uuid4()), "accepted", "--note", "x"), 1, "there is no such attempt"),
        (("attempts", "resolve", str(uuid4()), "maybe", "--note", "x"), 2, "accepted"),
        (("returns", "add", str(uuid4()), "--reason", "x"), 1, "has no sale"),
        (("ledger", "buyer", "nobody"), 1, "there is no account of buyer nobody"),
        (("erase", str(uuid4())), 1, "there is no post"),
    ],
    ids=lambda given: given[0] if isinstance(given, tuple) else None,
)
async def test_what_is_not_there_is_said_in_one_line(
    shell: Shell, words: tuple[str, ...], status: int, says: str
) -> None:
    done = await shell.run(*words)
    assert (done.status, says in done.err) == (status, True)


def test_an_accounts_line_shows_its_attempt_whole_on_a_narrow_terminal() -> None:
    attempt_id, now, shown = uuid4(), datetime.now(UTC), io.StringIO()
    line = Line(1_234_567, "correction_charge", -21_000_000, attempt_id, "he never had the lead", now)
    Console(file=shown, width=80).print(lines_table([line]))
    assert all(word in shown.getvalue() for word in (str(attempt_id), f"{now:%Y-%m-%d}", f"{now:%H:%M:%S}"))
    assert max(map(len, shown.getvalue().splitlines())) <= 80
