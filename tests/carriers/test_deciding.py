"""What is known of a lead that was to decide its sale by e-mail or as a file, wherever the server dies or says no."""

import asyncio
import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import pytest_asyncio
from support.buyer import Buyer
from support.certificates import make_certificate, serving_with, trusting
from support.drops import file_server
from support.file_servers import PASSWORD, USER, FileServer, sftp_server
from support.ftps_server import ftps_server
from support.mail_server import mail_server
from support.market import CONTACT, LEAD

from exchange.buyers.delivery import Courier
from exchange.buyers.dialects.wire import Post
from exchange.buyers.tls import bare_context
from exchange.carriers.deciding import Carriers
from exchange.carriers.mail import Relay, Security, relay_of
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.deliveries import FileFormat, Files, Mail, Means, Protocol
from exchange.values.ids import uuid7
from exchange.values.market import Sale
from exchange.values.vertical import Field, FieldType, Stage, Vertical

TO = ("desk@buyer.example", "boss@buyer.example")
MAIL = Mail(TO, "Lead {{attempt_id}}", "{{lead}}\n.\n..two\n", "<b>{{lead.phone}}</b>")
LONG_MS, SHORT_MS = 20_000, 600


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificates"))


@pytest_asyncio.fixture
async def courier() -> AsyncIterator[Courier]:
    courier = Courier(allow_private=True)
    yield courier
    await courier.close()


def post(**lead: Any) -> Post:
    whole = {"zip": "60601"} | CONTACT | lead
    return Post(uuid7(), uuid7(), None, "north", "auto", False, 12_000_000, "USD", Sale.EXCLUSIVE, whole)


def vertical() -> Vertical:
    names = sorted({*LEAD, *CONTACT})
    return Vertical("auto", {name: Field(name, FieldType.TEXT, Stage.POST) for name in names})


async def carry(
    courier: Courier,
    means: Means,
    *,
    relay: Relay | None = None,
    trusted: Path | None = None,
    timeout_ms: int = LONG_MS,
    late: bool = False,
    lead: Post | None = None,
) -> Delivery:
    tls = bare_context() if trusted is None else trusting(trusted)
    carriers = Carriers(courier, {"KEY": PASSWORD}, relay, tls, allow_private=True)
    by_s = time.monotonic() - 1 if late else time.monotonic() + 60
    try:
        return await carriers.deliver(means, lead or post(), vertical(), timeout_ms, by_s)
    finally:
        carriers.close()


def relay(port: int) -> Relay:
    found = relay_of(f"smtp+plain://127.0.0.1:{port}", "leads@exchange.example")
    assert found is not None
    return found


def files(server: FileServer, protocol: Protocol, **changes: Any) -> Files:
    host_key = server.host_key if protocol is Protocol.SFTP else None
    given = {"folder": "", "password": "${env:KEY}", "format": FileFormat.JSON} | changes
    return Files(protocol, "localhost", server.port, USER, host_key=host_key, **given)


# --- e-mail ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT", "DATA"])
async def test_a_mail_server_that_dies_before_the_message_was_sent_nothing(courier: Courier, step: str) -> None:
    async with mail_server() as box:
        box.dies_at = step
        assert isinstance(await carry(courier, MAIL, relay=relay(box.port)), NotSent)
        assert box.taken == []


@pytest.mark.parametrize("step", ["MESSAGE", "END"])
async def test_a_mail_server_that_dies_once_the_message_comes_may_have_it(courier: Courier, step: str) -> None:
    async with mail_server() as box:
        box.dies_at, box.says = step, None
        assert isinstance(await carry(courier, MAIL, relay=relay(box.port)), Unknown)
        assert len(box.taken) == (1 if step == "END" else 0)


async def test_a_mail_server_that_dies_in_the_middle_of_a_long_message_may_have_it(courier: Courier) -> None:
    async with mail_server() as box:
        box.dies_after_bytes = 200_000
        found = await carry(courier, MAIL, relay=relay(box.port), lead=post(note="x" * 2_000_000))
        assert isinstance(found, Unknown)
        assert box.taken == []


@pytest.mark.parametrize("scheme", ["smtp", "smtps", "smtp+plain"])
async def test_a_mail_server_that_never_greets_was_sent_nothing(
    courier: Courier, scheme: str, certificate: Path
) -> None:
    async with Buyer(lambda _: None) as mute:  # waits for a request, which is no greeting
        given = replace(relay(mute.port), security=Security(scheme))
        found = await carry(courier, MAIL, relay=given, trusted=certificate, timeout_ms=SHORT_MS)
        assert isinstance(found, NotSent)


async def test_a_mail_server_that_dies_at_the_beginning_of_tls_was_sent_nothing(
    courier: Courier, certificate: Path
) -> None:
    async with mail_server(serving_with(certificate)) as box:
        box.dies_at = "STARTTLS"
        given = replace(relay(box.port), security=Security.STARTTLS, host="localhost")
        assert isinstance(await carry(courier, MAIL, relay=given, trusted=certificate), NotSent)
        assert (box.words, box.taken) == (["EHLO", "STARTTLS"], [])


async def test_nobody_listens_and_nothing_is_sent(courier: Courier) -> None:
    assert isinstance(await carry(courier, MAIL, relay=relay(1)), NotSent)
    assert await carry(courier, MAIL) == NotSent("EXCHANGE_SMTP_URL is not set")


async def test_a_message_is_taken_once_whole_with_its_lines_of_dots(courier: Courier) -> None:
    lead = post()
    async with mail_server() as box:
        assert await carry(courier, MAIL, relay=relay(box.port), lead=lead) == Accepted()
    [message], [to] = box.messages, box.recipients
    assert (to, message["Subject"]) == (list(TO), f"Lead {lead.attempt_id}")
    assert message["Message-ID"] == f"<{lead.attempt_id}@exchange.example>"
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().endswith("\r\n.\r\n..two\r\n")
    assert f"phone: {CONTACT['phone']}" in body.get_content()


@pytest.mark.parametrize(
    ("refusal", "found"),
    [
        ("550 no such user", Rejected),
        ("552 full for good", Rejected),
        ("451 later", NotSent),
        ("421 going down", NotSent),
    ],
)
async def test_one_recipient_who_is_refused_is_enough_and_nobody_is_sent_it(
    courier: Courier, refusal: str, found: type
) -> None:
    async with mail_server() as box:
        box.refuses, box.refusal = (TO[1],), refusal
        assert isinstance(await carry(courier, MAIL, relay=relay(box.port)), found)
        assert box.taken == []


@pytest.mark.parametrize(
    ("says", "found"),
    [("554 never", Rejected), ("452 no room", Rejected), ("421 going down", Unknown), ("999 what", Unknown)],
)
async def test_what_is_said_to_the_message_itself(courier: Courier, says: str, found: type) -> None:
    async with mail_server() as box:
        box.says = says
        assert isinstance(await carry(courier, MAIL, relay=relay(box.port)), found)


@pytest.mark.parametrize(
    ("step", "found"), [("EHLO", NotSent), ("RCPT", NotSent), ("DATA", NotSent), ("MESSAGE", Unknown), ("END", Unknown)]
)
async def test_a_mail_server_that_falls_silent_has_the_time_of_the_attempt(
    courier: Courier, step: str, found: type
) -> None:
    async with mail_server() as box:
        box.waits[step] = asyncio.Event()
        assert isinstance(await carry(courier, MAIL, relay=relay(box.port), timeout_ms=SHORT_MS), found)
        box.waits[step].set()


async def test_after_its_lease_nothing_is_sent(courier: Courier, tmp_path: Path, certificate: Path) -> None:
    tls = serving_with(certificate)
    async with mail_server() as box, sftp_server(tmp_path / "a") as one, ftps_server(tmp_path / "b", tls) as two:
        for means in (MAIL, files(one, Protocol.SFTP), files(two, Protocol.FTPS)):
            given = relay(box.port)
            assert isinstance(await carry(courier, means, relay=given, trusted=certificate, late=True), NotSent)
        assert (box.taken, one.files(), two.files()) == ([], {}, {})


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[Protocol.SFTP, Protocol.FTPS])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    found: Protocol = request.param
    return found


@pytest_asyncio.fixture
async def server(protocol: Protocol, tmp_path: Path, certificate: Path) -> AsyncIterator[FileServer]:
    async with file_server(protocol, tmp_path / "files", certificate) as server:
        yield server


async def test_a_file_is_there_whole_once_and_then_it_is_taken(
    courier: Courier, server: FileServer, protocol: Protocol, certificate: Path
) -> None:
    lead = post(note="x" * 30_000)
    assert await carry(courier, files(server, protocol), trusted=certificate, lead=lead) == Accepted()
    [(name, content)] = server.files().items()
    assert (name, json.loads(content)["lead"]) == (f"{lead.attempt_id}.json", dict(lead.lead))
    assert (json.loads(content)["price"], json.loads(content)["reference"]) == ("12.00", None)
    assert not list(server.folder.rglob("*.part"))


@pytest.mark.parametrize("step", ["login", "open"])
async def test_a_server_that_dies_before_the_first_byte_was_sent_nothing(
    courier: Courier, server: FileServer, protocol: Protocol, certificate: Path, step: str
) -> None:
    server.dies_at = step
    assert isinstance(await carry(courier, files(server, protocol), trusted=certificate), NotSent)
    assert server.files() == {}


@pytest.mark.parametrize("step", ["middle", "rename", "renamed"])
async def test_a_server_that_dies_from_then_on_may_have_it(
    courier: Courier, server: FileServer, protocol: Protocol, certificate: Path, step: str
) -> None:
    server.dies_in, server.dies_at = (1, "") if step == "middle" else (0, step)
    assert isinstance(await carry(courier, files(server, protocol), trusted=certificate), Unknown)
    assert len(server.files()) == (1 if step == "renamed" else 0)


@pytest.mark.parametrize("step", ["rename", "renamed"])
async def test_a_server_without_the_rename_that_replaces_may_have_it_as_well(
    courier: Courier, tmp_path: Path, step: str
) -> None:
    async with sftp_server(tmp_path / "files") as server:
        server.posix_rename, server.dies_at = False, step
        assert isinstance(await carry(courier, files(server, Protocol.SFTP)), Unknown)
        assert len(server.files()) == (1 if step == "renamed" else 0)


async def test_a_server_that_has_no_room_has_said_no(
    courier: Courier, server: FileServer, protocol: Protocol, certificate: Path
) -> None:
    server.is_full = True
    assert isinstance(await carry(courier, files(server, protocol), trusted=certificate), Rejected)
    assert server.files() == {}


async def test_a_server_that_never_greets_was_sent_nothing(
    courier: Courier, protocol: Protocol, certificate: Path
) -> None:
    async with Buyer(lambda _: None) as mute:
        key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
        means = replace(files(FileServer(Path(), mute.port), protocol), host_key=key)
        found = await carry(courier, means, trusted=certificate, timeout_ms=SHORT_MS)
        assert isinstance(found, NotSent)


async def test_a_folder_that_is_not_there_is_a_no_and_a_wrong_password_is_our_own_trouble(
    courier: Courier, server: FileServer, protocol: Protocol, certificate: Path
) -> None:
    nowhere = files(server, protocol, folder="nowhere")
    assert isinstance(await carry(courier, nowhere, trusted=certificate), Rejected)
    stranger = files(server, protocol, password="wrong")
    assert isinstance(await carry(courier, stranger, trusted=certificate), NotSent)
    unset = files(server, protocol, password="${env:UNSET}")
    assert isinstance(await carry(courier, unset, trusted=certificate), NotSent)


async def test_csv_has_its_columns_and_no_formula_is_sent(
    courier: Courier, server: FileServer, protocol: Protocol, certificate: Path
) -> None:
    way = files(server, protocol, format=FileFormat.CSV)
    assert isinstance(await carry(courier, way, trusted=certificate, lead=post(first_name="=1+1")), NotSent)
    assert server.files() == {}
    assert await carry(courier, way, trusted=certificate) == Accepted()
    [content] = server.files().values()
    [row] = csv.DictReader(io.StringIO(content.decode()))
    assert (row["phone"], row["reference"]) == (CONTACT["phone"], "")


@pytest.mark.parametrize(("step", "found"), [("login", NotSent), ("open", NotSent), ("rename", Unknown)])
async def test_what_was_given_up_is_not_put_down_when_the_server_goes_on(
    courier: Courier, tmp_path: Path, certificate: Path, step: str, found: type
) -> None:
    async with ftps_server(tmp_path / "files", serving_with(certificate)) as server:
        server.waits_at = step
        means = files(server, Protocol.FTPS)
        assert isinstance(await carry(courier, means, trusted=certificate, timeout_ms=SHORT_MS), found)
        server.may_go_on.set()
        server.waits_at = ""
        assert await carry(courier, means, trusted=certificate) == Accepted()  # by then the first has ended, too
        whole = [path for path in server.folder.rglob("*") if path.stat().st_size]
        assert len(whole) <= (1 if found is NotSent else 2)


def test_what_speaks_sftp_is_imported_for_a_market_that_has_such_a_buyer() -> None:
    code = (
        "import asyncio, sys\n"
        "import exchange.commands.working, exchange.gateway\n"
        "from exchange.carriers.files import prepare\n"
        "from exchange.values.deliveries import Files, Protocol\n"
        "def imported(protocol):\n"
        "    asyncio.run(prepare([None, Files(protocol, 'localhost', 22, 'northwind')]))\n"
        "    return 'exchange.carriers.sftp' in sys.modules\n"
        "assert 'asyncssh' not in sys.modules\n"
        "sys.exit((imported(Protocol.FTPS), imported(Protocol.SFTP)) != (False, True))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
