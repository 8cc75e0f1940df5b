"""Orders at a fixed price that are delivered to by e-mail, file or webhook: what a sale is then, and what it is not."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.buyer import ACCEPTS, Buyer, bids
from support.certificates import make_certificate
from support.drops import by_sftp, drop_at, file_server
from support.file_servers import sftp_server
from support.mail_server import Mailbox, mail_server
from support.market import CONTACT, Document, market
from support.outbox import SECRET, Receiver, verified
from support.unknowns import KEY, age, reconcile
from support.waiting import until
from support.world import World, open_world

from exchange.embedded.lease import Services
from exchange.values.deliveries import Files, Protocol

pytestmark = pytest.mark.asyncio(loop_scope="module")

Opened = tuple[World, Mailbox]


@pytest.fixture(scope="module", autouse=True)
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A server's own, which the exchange trusts as it does the authorities of the world."""
    file = make_certificate(tmp_path_factory.mktemp("certificates"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("certifi.where", lambda: str(file))
        yield file


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(shared_services: Services, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Opened]:
    key = base64.b64encode(KEY).decode()
    async with mail_server() as box:
        smtp = {"smtp_url": f"smtp+plain://127.0.0.1:{box.port}", "smtp_from": "leads@exchange.example"}
        folder = tmp_path_factory.mktemp("deciding")
        async with open_world(shared_services, folder, master_key=key, **smtp) as world:
            yield world, box


@pytest.fixture
def world(opened: Opened) -> World:
    return opened[0]


@pytest.fixture
def box(opened: Opened) -> Mailbox:
    """The mail server, as it was at first."""
    box = opened[1]
    box.taken.clear()
    box.refuses, box.says, box.dies_at = (), "250 taken", ""
    return box


def deciding(name: str, means: Document, second: Buyer, **endpoint: Any) -> Document:
    """An order at 12.00 that is delivered to by some means, and one whose buyer bids less."""
    orders = {name: {"price": "12.00"}}
    document = market({name: "http://127.0.0.1:9", f"{name}-second": second}, orders=orders)
    document["buyers"][name]["endpoint"] = means | {"post_timeout_ms": 5000} | endpoint
    return document


def by_mail() -> Document:
    return {"email": {"to": ["desk@buyer.example"]}}


async def states(world: World, post: Document) -> dict[str, tuple[str, str]]:
    rows = await world.rows(
        "select order_key, state, detail from attempts where post_id = $1 order by ordinal", post["post_id"]
    )
    return {row["order_key"]: (row["state"], row["detail"]) for row in rows}


async def test_a_lead_that_the_mail_server_takes_is_sold(world: World, box: Mailbox) -> None:
    async with Buyer(bids("11.00"), ACCEPTS) as second:
        await world.apply(deciding("mailed", by_mail(), second))
        post = await world.post((await world.ping())["ping_id"])
    assert (post["status"], post["price"], len(second.posts)) == ("accepted", "10.20", 0)
    [message] = box.messages
    assert CONTACT["first_name"] in message.get_content()
    assert (await states(world, post))["mailed"] == ("accepted", "")
    await world.assert_sound()


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"refuses": ("desk@buyer.example",)}, "rejected"),
        ({"says": "554 never"}, "rejected"),
        ({"dies_at": "RCPT"}, "not_sent"),
    ],
)
async def test_what_is_refused_or_not_sent_goes_to_the_next(
    world: World, box: Mailbox, changes: Document, state: str
) -> None:
    for name, value in changes.items():
        setattr(box, name, value)
    async with Buyer(bids("11.00"), ACCEPTS) as second:
        await world.apply(deciding("refusing", by_mail(), second))
        post = await world.post((await world.ping())["ping_id"])
    assert (post["status"], len(second.posts)) == ("accepted", 1)
    assert {order: state for order, (state, _) in (await states(world, post)).items()} == {
        "refusing": state,
        "refusing-second": "accepted",
    }
    await world.assert_sound()


async def test_what_may_have_arrived_is_pending_goes_to_nobody_else_and_is_never_sent_again(
    world: World, box: Mailbox
) -> None:
    box.says = None
    async with Buyer(bids("11.00"), ACCEPTS) as second:
        terms = {"unknown": {"presume": "rejected", "after_days": 1}}
        await world.apply(deciding("dying", by_mail(), second, **terms))
        post = await world.post((await world.ping())["ping_id"])
        assert (post["status"], len(box.taken), len(second.posts)) == ("pending", 1, 0)
        box.says = "250 taken"
        await age(world, post, "1 hour")
        await reconcile(world)
        assert (len(box.taken), (await states(world, post))["dying"][0]) == (1, "unknown")
        await age(world, post, "2 days")
        await reconcile(world)
    assert (len(box.taken), (await states(world, post))["dying"][0]) == (1, "presumed_rejected")
    assert not second.posts
    await world.assert_sound()


@pytest.mark.parametrize(
    ("step", "status", "state"),
    [
        ("EHLO", "accepted", "not_sent"),
        ("MAIL", "accepted", "not_sent"),
        ("RCPT", "accepted", "not_sent"),
        ("DATA", "accepted", "not_sent"),
        ("MESSAGE", "pending", "unknown"),
        ("END", "pending", "unknown"),
    ],
)
async def test_wherever_the_mail_server_dies_nobody_has_the_lead_twice(
    world: World, box: Mailbox, step: str, status: str, state: str
) -> None:
    box.dies_at, box.says = step, None
    async with Buyer(bids("11.00"), ACCEPTS) as second:
        await world.apply(deciding(f"dead-at-{step.lower()}", by_mail(), second))
        post = await world.post((await world.ping())["ping_id"])
    assert (post["status"], (await states(world, post))[f"dead-at-{step.lower()}"][0]) == (status, state)
    assert len(box.taken) == (1 if step == "END" else 0)
    assert len(second.posts) == (1 if state == "not_sent" else 0)
    await world.assert_sound()


@pytest.mark.parametrize("protocol", ["sftp", "ftps"])
@pytest.mark.parametrize(
    ("dies", "status", "state"),
    [
        ("", "accepted", "accepted"),
        ("login", "accepted", "not_sent"),
        ("open", "accepted", "not_sent"),
        ("middle", "pending", "unknown"),
        ("rename", "pending", "unknown"),
        ("renamed", "pending", "unknown"),
    ],
)
async def test_a_file_decides_as_well_wherever_its_server_dies(
    world: World, tmp_path: Path, certificate: Path, protocol: str, dies: str, status: str, state: str
) -> None:
    async with (
        file_server(protocol, tmp_path / "files", certificate) as server,
        Buyer(bids("11.00"), ACCEPTS) as second,
    ):
        server.dies_in, server.dies_at = (1, "") if dies == "middle" else (0, dies)
        name = f"{protocol}-{dies or 'alive'}"
        await world.apply(deciding(name, drop_at(protocol, server), second))
        post = await world.post((await world.ping())["ping_id"])
        found = [json.loads(content)["lead"]["zip"] for content in server.files().values()]
    assert (post["status"], (await states(world, post))[name][0]) == (status, state)
    assert len(found) == (1 if dies in {"", "renamed"} else 0)
    assert len(second.posts) == (1 if state == "not_sent" else 0), "what may be there is sold to nobody else"
    await world.assert_sound()


async def test_a_gateway_has_imported_what_its_first_market_needs_before_it_is_ready(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[object] = []
    may_go_on = asyncio.Event()

    async def prepare(means: Iterable[object]) -> None:
        wanted.extend(means)
        await may_go_on.wait()

    monkeypatch.setattr("exchange.app.prepare", prepare)
    async with (
        open_world(services, tmp_path / "data") as world,
        sftp_server(tmp_path / "files") as server,
        Buyer(bids("11.00"), ACCEPTS) as second,
    ):
        await world.apply(deciding("filed", by_sftp(server), second))
        await until(lambda: asyncio.sleep(0, len(wanted)), bool)
        assert (await world.client.get("/readyz")).status_code == 503
        may_go_on.set()
        await until(lambda: world.client.get("/readyz"), lambda answer: answer.status_code == 200)
    assert [means.protocol for means in wanted if isinstance(means, Files)] == [Protocol.SFTP]


@pytest.mark.parametrize(
    ("answer", "status", "state"),
    [
        (204, "accepted", "accepted"),
        (422, "accepted", "rejected"),
        (429, "pending", "unknown"),
        (500, "pending", "unknown"),
    ],
)
async def test_a_webhook_decides_by_its_status(world: World, answer: int, status: str, state: str) -> None:
    receiver = Receiver([answer])
    async with receiver.listening() as hook, Buyer(bids("11.00"), ACCEPTS) as second:
        await world.apply(deciding("hooked", {"webhook": {"url": f"{hook.url}/in", "secret": SECRET}}, second))
        post = await world.post((await world.ping())["ping_id"])
    [received] = receiver.got
    found = verified(received)
    assert (found["type"], found["data"]["price"]) == ("lead.sold", "12.00")
    assert received.headers["webhook-id"] == found["data"]["attempt_id"]
    assert (post["status"], (await states(world, post))["hooked"][0]) == (status, state)
    assert len(second.posts) == (1 if state == "rejected" else 0)
    await world.assert_sound()


async def test_without_its_secret_an_order_is_not_offered_anything(world: World, tmp_path: Path) -> None:
    async with sftp_server(tmp_path / "files") as server, Buyer(bids("11.00"), ACCEPTS) as second:
        means = by_sftp(server)
        means["sftp"]["password"] = "${env:NOBODY_HAS_SET_THIS}"
        await world.apply(deciding("unset", means, second))
        ping = await world.ping()
    assert (await world.reasons(ping["ping_id"]))["unset-second"] == 2
    assert (await world.reasons(ping["ping_id"]))["unset"] == 206


async def test_without_a_mail_server_an_order_by_e_mail_is_not_offered_anything(shared_world: World) -> None:
    async with Buyer(bids("11.00"), ACCEPTS) as second:
        await shared_world.apply(deciding("mailless", by_mail(), second))
        ping = await shared_world.ping()
    assert (await shared_world.reasons(ping["ping_id"]))["mailless-second"] == 2
    assert (await shared_world.reasons(ping["ping_id"]))["mailless"] == 206
