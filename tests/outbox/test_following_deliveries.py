"""What follows a sale goes to its buyer alone, whole, and until it has arrived: webhooks, e-mails and files."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from support.buyer import ACCEPTS, REJECTS, Buyer, bids
from support.canary import CONTACT as CANARY
from support.canary import sightings
from support.certificates import make_certificate, serving_with, trusting
from support.drops import by_ftps, by_sftp, drop_at, file_server
from support.file_servers import PASSWORD as FILES_PASSWORD
from support.file_servers import USER as FILES_USER
from support.file_servers import sftp_server
from support.ftps_server import ftps_server
from support.mail_server import PASSWORD, USER, Mailbox, mail_server
from support.market import CONTACT, Document, market
from support.outbox import SECRET, Receiver, make_due, outbox_rows, send_all, verified
from support.unknowns import UNCLEAR, age, reconcile
from support.world import World

from exchange.buyers.tls import bare_context
from exchange.carriers.departure import Departure
from exchange.carriers.file import File, Login
from exchange.carriers.files import FileServers
from exchange.carriers.mail import Relay, relay_of
from exchange.carriers.outcome import Arrival, Failed
from exchange.storage.erasure import erase
from exchange.values.deliveries import Files, Protocol

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = 'Ann\r\nBcc: evil@example.com\n"<b>{{lead.phone}}</b>", ünï'


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificates"))


def followed(name: str, buyer: Buyer, **deliver: Document) -> Document:
    """A market with one order, and what follows its sales."""
    return market({name: buyer}, orders={name: {"deliver": deliver}})


async def sold(world: World, document: Document, lead: Document | None = None, **ping: Any) -> Document:
    await world.apply(document)
    post = await world.post((await world.ping(**ping))["ping_id"], lead)
    assert post["status"] == "accepted", post
    return post


async def states(world: World) -> list[tuple[str, str]]:
    return [(row["state"], row["detail"]) for row in await outbox_rows(world)]


# --- whoever is sent it ---------------------------------------------------------------------------------------------


async def test_a_webhook_brings_the_whole_lead_signed_and_the_outbox_holds_nothing_of_it(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = followed("crm", buyer, copy={"webhook": {"url": f"{hook.url}/in?x=1", "secret": SECRET}})
        post = await sold(world, document, CANARY)
        rows = await outbox_rows(world)
        await send_all(world)
    assert not sightings([("outbox", json.dumps([dict(row) for row in rows], default=str))])
    [received] = receiver.got
    found, posted = verified(received), buyer.posts[0].json
    assert (found["type"], received.path) == ("lead.sold", "/in?x=1")
    assert found["data"]["lead"] == posted["lead"]
    same = ("attempt_id", "ping_id", "order", "campaign", "price", "currency", "sale", "test")
    assert {name: found["data"][name] for name in same} == {name: posted[name] for name in same}
    assert (found["data"]["reference"], found["data"]["ping_id"]) == ("crm-1", post["ping_id"])
    assert await states(world) == [("done", "")]


async def test_only_the_order_that_bought_is_followed(world: World) -> None:
    loser, winner = Receiver(), Receiver()
    async with (
        loser.listening() as wrong,
        winner.listening() as right,
        Buyer(bids("31.00"), REJECTS) as first,
        Buyer(bids("28.00"), ACCEPTS) as second,
    ):
        document = market({"first": first, "second": second})
        for key, hook in (("first", wrong), ("second", right)):
            document["orders"][key]["deliver"] = {"copy": {"webhook": {"url": hook.url, "secret": SECRET}}}
        await sold(world, document)
        await send_all(world)
    assert (len(loser.got), len(winner.got)) == (0, 1)


async def test_each_winner_of_a_shared_lead_is_followed_for_his_own_share(world: World) -> None:
    receivers = [Receiver(), Receiver()]
    async with (
        receivers[0].listening() as one,
        receivers[1].listening() as two,
        Buyer(bids("21.00"), ACCEPTS) as first,
        Buyer(bids("15.00"), ACCEPTS) as second,
    ):
        document = market({"first": first, "second": second}, sale="shared")
        for key, hook in (("first", one), ("second", two)):
            document["orders"][key]["deliver"] = {"copy": {"webhook": {"url": hook.url, "secret": SECRET}}}
        await sold(world, document)
        await send_all(world)
    found = [verified(receiver.got[0])["data"] for receiver in receivers]
    assert [(item["price"], item["sale"], item["order"]) for item in found] == [
        ("21.00", "shared", "first"),
        ("15.00", "shared", "second"),
    ]


async def test_a_presumed_sale_is_followed_once_and_its_confirmation_not_again(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), UNCLEAR) as buyer:
        document = followed("presumed", buyer, copy={"webhook": {"url": hook.url, "secret": SECRET}})
        document["buyers"]["presumed"]["endpoint"]["unknown"] = {"presume": "accepted", "after_days": 1}
        await world.apply(document)
        post = await world.post((await world.ping())["ping_id"])
        assert (post["status"], await outbox_rows(world)) == ("pending", [])
        await age(world, post, "2 days")
        await reconcile(world)
        await world.rows("update attempts set state = 'accepted' where post_id = $1", post["post_id"])
        await send_all(world)
    assert len(receiver.got) == 1


async def test_what_comes_later_waits(world: World) -> None:
    async with Receiver().listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        copy = {"webhook": {"url": hook.url, "secret": SECRET}, "after_s": 3600}
        await sold(world, followed("later", buyer, copy=copy))
        assert await send_all(world) == 0
    [row] = await world.rows("select extract(epoch from due_at - created_at)::float8 as wait from outbox")
    assert row["wait"] == 3600


async def test_a_lead_that_was_erased_goes_nowhere(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = followed("erased", buyer, copy={"webhook": {"url": hook.url, "secret": SECRET}})
        post = await sold(world, document)
        await erase(world.database, post["post_id"])
        assert await states(world) == [("dead", "the lead was erased")]
        await world.rows("update outbox set state = 'waiting', due_at = now()")  # as an operator may have it
        await send_all(world)
    assert (receiver.got, await states(world)) == ([], [("dead", "the lead was erased")])


async def test_a_lead_never_goes_to_the_next_buyer_of_an_order(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        copy = {"webhook": {"url": hook.url, "secret": SECRET}}
        document = market({"one": buyer, "two": buyer}, orders={"one": {"deliver": {"copy": copy}}})
        document["orders"]["two"]["paused"] = True
        await sold(world, document)
        document["orders"]["one"]["buyer"] = "two"
        await world.apply(document)
        await send_all(world)
    assert (receiver.got, await states(world)) == ([], [("dead", "the order is another buyer's by now")])


async def test_a_corrected_sale_is_not_followed(world: World) -> None:
    receiver = Receiver()
    async with receiver.listening() as hook, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = followed("corrected", buyer, copy={"webhook": {"url": hook.url, "secret": SECRET}})
        post = await sold(world, document)
        await world.rows("update outbox set attempt_id = $1", "00000000-0000-7000-8000-000000000000")
        await send_all(world)
    assert post["status"] == "accepted"
    assert (receiver.got, [state for state, _ in await states(world)]) == ([], ["dead"])


async def test_posts_to_the_endpoint_are_signed_and_their_bytes_are_the_same(world: World) -> None:
    async with Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = market({"signed": buyer})
        document["buyers"]["signed"]["endpoint"]["signing"] = {"secret": SECRET}
        await sold(world, document)
    [posted], [pinged] = buyer.posts, buyer.pings
    assert verified(posted) == posted.json
    assert posted.headers["webhook-id"] == posted.headers["idempotency-key"] == posted.json["attempt_id"]
    assert set(posted.json) == {
        "attempt_id", "ping_id", "bid_id", "order", "campaign", "test", "price", "currency", "sale", "lead",
    }  # fmt: skip
    assert "webhook-id" not in pinged.headers


async def test_without_its_signing_secret_an_endpoint_is_not_asked(world: World) -> None:
    async with Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = market({"unsigned": buyer})
        document["buyers"]["unsigned"]["endpoint"]["signing"] = {"secrets": [SECRET, "${env:NOT_SET_ANYWHERE}"]}
        await world.apply(document)
        ping = await world.ping()
    assert (ping["status"], await world.reasons(ping["ping_id"])) == ("unsold", {"unsigned": 206})


# --- e-mail ---------------------------------------------------------------------------------------------------------


def mailing(name: str, buyer: Buyer, **mail: Any) -> Document:
    return followed(name, buyer, desk={"email": {"to": ["desk@buyer.example"]} | mail})


def plain(box: Mailbox) -> Relay:
    found = relay_of(f"smtp+plain://localhost:{box.port}", "leads@exchange.example")
    assert found is not None
    return found


async def test_an_e_mail_has_the_lead_as_text_and_as_html(world: World) -> None:
    async with mail_server() as box, Buyer(bids("21.00"), ACCEPTS) as buyer:
        texts = {
            "subject": "{{lead.first_name}} from {{lead.zip}} for {{price}} {{currency}}",
            "text": "Call {{lead.first_name}}: {{lead.phone}}\n\n{{lead}}\n",
            "html": '<p>{{lead.first_name}} <a href="tel:{{lead.phone}}">{{lead.phone}}</a></p>',
        }
        await sold(world, mailing("mailed", buyer, **texts), CONTACT | {"first_name": "Anna Ünï"})
        await send_all(world, relay=plain(box))
    [message] = box.messages
    [row] = await outbox_rows(world)
    assert (row["state"], box.recipients) == ("done", [["desk@buyer.example"]])
    assert message["Subject"] == "Anna Ünï from 60601 for 21.00 USD"
    assert (message["To"], message["From"]) == ("desk@buyer.example", "leads@exchange.example")
    assert message["Message-ID"] == f"<{row['outbox_id']}@exchange.example>"
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n").startswith("Call Anna Ünï: +13125550123\n\nzip: 60601\n")
    assert '<a href="tel:+13125550123">+13125550123</a>' in html.get_content()


async def test_values_become_neither_headers_nor_markup(world: World) -> None:
    async with mail_server() as box, Buyer(bids("21.00"), ACCEPTS) as buyer:
        texts = {"subject": "{{lead.first_name}}", "text": "{{lead.first_name}}|", "html": "<i>{{lead.first_name}}</i>"}
        await sold(world, mailing("hostile", buyer, **texts), CONTACT | {"first_name": HOSTILE})
        await send_all(world, relay=plain(box))
    [message] = box.messages
    assert message["Bcc"] is None
    assert box.recipients == [["desk@buyer.example"]]
    assert message["Subject"] == 'Ann Bcc: evil@example.com "<b>{{lead.phone}}</b>", ünï'
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert text.get_content().replace("\r\n", "\n").rstrip("\n") == HOSTILE.replace("\r\n", "\n") + "|"
    assert "<b>" not in html.get_content()
    assert "&lt;b&gt;{{lead.phone}}&lt;/b&gt;" in html.get_content()


async def test_a_test_lead_says_so_in_the_subject(world: World) -> None:
    async with mail_server() as box, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, mailing("tested", buyer, subject="A lead"), test=True)
        await send_all(world, relay=plain(box))
    assert box.messages[0]["Subject"] == "[test] A lead"


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_mail_goes_over_tls_with_a_login(world: World, certificate: Path, scheme: str) -> None:
    tls = serving_with(certificate)
    async with mail_server(tls, implicit=scheme == "smtps") as box, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, mailing(f"tls-{scheme}", buyer))
        relay = relay_of(f"{scheme}://{USER}:p%40ss%2Fword@localhost:{box.port}", "leads@exchange.example")
        assert relay is not None
        assert relay.password == PASSWORD
        await send_all(world, relay=relay, tls=trusting(certificate))
    assert (box.was_secure, box.was_known) == ([True], [True])
    assert await states(world) == [("done", "")]


async def test_nothing_is_mailed_to_a_server_whose_certificate_is_not_trusted_or_that_has_no_tls(
    world: World, certificate: Path
) -> None:
    tls = serving_with(certificate)
    async with mail_server(tls) as strange, mail_server() as open_box, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, mailing("untrusted", buyer))
        for box in (strange, open_box):
            await make_due(world)
            await send_all(world, relay=relay_of(f"smtp://localhost:{box.port}", "leads@exchange.example"))
            assert (await states(world))[0][0] == "waiting"
    assert (strange.taken, open_box.taken) == ([], [])


async def test_a_mail_server_that_hangs_up_after_the_last_byte_is_sent_the_same_message_again(world: World) -> None:
    async with mail_server() as box, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, mailing("cut", buyer))
        box.says = None
        await send_all(world, relay=plain(box))
        assert (await states(world))[0][0] == "waiting"
        box.says = "250 taken"
        await make_due(world)
        await send_all(world, relay=plain(box))
    first, second = box.taken
    assert first.partition(b"boundary")[0] == second.partition(b"boundary")[0]
    assert box.messages[0]["Message-ID"] == box.messages[1]["Message-ID"]
    assert await states(world) == [("done", "")]


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT", "DATA", "MESSAGE", "END"])
async def test_wherever_the_mail_server_dies_the_message_arrives_in_the_end(world: World, step: str) -> None:
    async with mail_server() as box, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, mailing(f"dying-at-{step.lower()}", buyer))
        box.dies_at, box.says = step, None
        await send_all(world, relay=plain(box))
        assert (await states(world))[0][0] == "waiting"
        box.dies_at, box.says = "", "250 taken"
        await make_due(world)
        await send_all(world, relay=plain(box))
    assert await states(world) == [("done", "")]
    assert len(box.taken) == (2 if step == "END" else 1), "a repeat only where it may have been lost"
    assert len({message["Message-ID"] for message in box.messages}) == 1


@pytest.mark.parametrize(
    ("says", "state", "detail"),
    [
        ("451 come back", "waiting", "the mail server refused the message: 451"),
        ("554 never", "dead", "the mail server refused the message: 554"),
    ],
)
async def test_what_a_mail_server_will_not_have_now_or_ever(world: World, says: str, state: str, detail: str) -> None:
    async with mail_server() as box, Buyer(bids("21.00"), ACCEPTS) as buyer:
        box.says = says
        await sold(world, mailing(f"refused-{state}", buyer))
        await send_all(world, relay=plain(box))
    assert await states(world) == [(state, detail)]


async def test_a_recipient_who_is_unknown_makes_it_dead_and_says_how_many(world: World) -> None:
    async with mail_server() as box, Buyer(bids("21.00"), ACCEPTS) as buyer:
        box.refuses = ("gone@buyer.example",)
        await sold(world, mailing("partly", buyer, to=["desk@buyer.example", "gone@buyer.example"]))
        await send_all(world, relay=plain(box))
        box.refuses = ("desk@buyer.example", "gone@buyer.example")
        await world.rows("update outbox set state = 'waiting', due_at = now()")
        assert await states(world) == [("waiting", "1 of 2 recipients refused")]
        await send_all(world, relay=plain(box))
    assert await states(world) == [("dead", "all recipients refused: 550")]


async def test_without_a_mail_server_it_waits(world: World) -> None:
    async with Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, mailing("relayless", buyer))
        await send_all(world)
    assert await states(world) == [("waiting", "EXCHANGE_SMTP_URL is not set")]


# --- files ----------------------------------------------------------------------------------------------------------


async def test_a_lead_is_put_down_by_sftp_as_a_json_file(world: World, tmp_path: Path) -> None:
    async with sftp_server(tmp_path / "files") as server, Buyer(bids("21.00"), ACCEPTS) as buyer:
        (server.folder / "in").mkdir()
        await sold(world, followed("filed", buyer, drop=by_sftp(server, folder="/in")))
        await send_all(world)
        [(name, content)] = server.files().items()
    posted = buyer.posts[0].json
    assert (await states(world), name) == ([("done", "")], f"in/{posted['attempt_id']}.json")
    assert json.loads(content)["lead"] == posted["lead"]
    assert not list(server.folder.rglob("*.part"))


async def test_a_lead_is_put_down_by_sftp_with_a_key_and_without_posix_rename(world: World, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    known = key.export_public_key().decode().split()[1]
    async with sftp_server(tmp_path / "files", (known,)) as server, Buyer(bids("21.00"), ACCEPTS) as buyer:
        server.posix_rename = False
        drop = by_sftp(server, key="${env:SSH_KEY}")
        del drop["sftp"]["password"]
        await sold(world, followed("keyed", buyer, drop=drop))
        escaped = key.export_private_key().decode().replace("\n", "\\n")
        await send_all(world, environment={"SSH_KEY": escaped})
        assert len(server.files()) == 1
    assert await states(world) == [("done", "")]


async def test_a_server_with_another_host_key_gets_neither_password_nor_lead(world: World, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()
    async with sftp_server(tmp_path / "files") as server, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(world, followed("imposter", buyer, drop=by_sftp(server, host_key=other)))
        await send_all(world)
        assert server.files() == {}
    assert await states(world) == [("waiting", "the server has another host key")]


async def test_a_wrong_password_is_said(world: World, tmp_path: Path, certificate: Path) -> None:
    async with (
        sftp_server(tmp_path / "sftp") as one,
        ftps_server(tmp_path / "ftps", serving_with(certificate)) as two,
        Buyer(bids("21.00"), ACCEPTS) as buyer,
    ):
        deliver = {"a": by_sftp(one, password="wrong"), "b": by_ftps(two, password="wrong")}
        await sold(world, followed("wrong", buyer, **deliver))
        await send_all(world, tls=trusting(certificate))
    assert sorted(await states(world)) == [("waiting", "error_perm 530"), ("waiting", "the server refused the login")]


async def test_a_lead_is_put_down_by_ftps(world: World, tmp_path: Path, certificate: Path) -> None:
    async with (
        ftps_server(tmp_path / "files", serving_with(certificate)) as server,
        Buyer(bids("21.00"), ACCEPTS) as buyer,
    ):
        await sold(world, followed("ftps", buyer, drop=by_ftps(server, format="csv")))
        await send_all(world, tls=trusting(certificate))
        [(name, content)] = server.files().items()
    posted = buyer.posts[0].json
    assert (await states(world), name) == ([("done", "")], f"{posted['attempt_id']}.csv")
    [row] = csv.DictReader(io.StringIO(content.decode()))
    assert {key: row[key] for key in posted["lead"]} == {key: str(value) for key, value in posted["lead"].items()}


async def test_ftps_checks_the_certificate(world: World, tmp_path: Path, certificate: Path) -> None:
    async with (
        ftps_server(tmp_path / "files", serving_with(certificate)) as server,
        Buyer(bids("21.00"), ACCEPTS) as buyer,
    ):
        await sold(world, followed("unchecked", buyer, drop=by_ftps(server)))
        await send_all(world)
        assert server.files() == {}
    [(state, detail)] = await states(world)
    assert (state, detail.partition(" ")[0]) == ("waiting", "tls_failed")


@pytest.mark.parametrize("protocol", ["sftp", "ftps"])
async def test_a_server_that_dies_in_the_middle_shows_no_half_file_and_gets_it_whole_later(
    world: World, tmp_path: Path, certificate: Path, protocol: str
) -> None:
    async with (
        file_server(protocol, tmp_path / "files", certificate) as server,
        Buyer(bids("21.00"), ACCEPTS) as buyer,
    ):
        drop = drop_at(protocol, server)
        await sold(world, followed(f"dying-{protocol}", buyer, drop=drop))
        server.dies_in = 1
        await send_all(world, tls=trusting(certificate))
        assert (server.files(), (await states(world))[0][0]) == ({}, "waiting")
        await make_due(world)
        await send_all(world, tls=trusting(certificate))
        [content] = server.files().values()
    assert json.loads(content)["lead"] == buyer.posts[0].json["lead"]
    assert await states(world) == [("done", "")]


@pytest.mark.parametrize("protocol", ["sftp", "ftps"])
@pytest.mark.parametrize("step", ["login", "open", "rename", "renamed"])
async def test_wherever_a_server_dies_there_is_one_whole_file_in_the_end(
    world: World, tmp_path: Path, certificate: Path, protocol: str, step: str
) -> None:
    async with (
        file_server(protocol, tmp_path / "files", certificate) as server,
        Buyer(bids("21.00"), ACCEPTS) as buyer,
    ):
        drop = drop_at(protocol, server)
        await sold(world, followed(f"{protocol}-{step}", buyer, drop=drop))
        server.dies_at = step
        await send_all(world, tls=trusting(certificate))
        assert (len(server.files()), (await states(world))[0][0]) == (1 if step == "renamed" else 0, "waiting")
        server.dies_at = ""
        before = list(server.log)
        await make_due(world)
        await send_all(world, tls=trusting(certificate))
        [content] = server.files().values()
        assert (server.log == before) is (step == "renamed"), "what is there already is not put down again"
        assert not [path for path in server.folder.rglob("*") if path.is_file() and path.name.startswith(".")]
    assert json.loads(content)["lead"] == buyer.posts[0].json["lead"]
    assert await states(world) == [("done", "it was there from an earlier try" if step == "renamed" else "")]


@pytest.mark.parametrize("protocol", ["sftp", "ftps"])
async def test_a_file_that_is_there_from_a_try_that_was_not_marked_is_not_put_down_again(
    world: World, tmp_path: Path, certificate: Path, protocol: str
) -> None:
    async with (
        file_server(protocol, tmp_path / "files", certificate) as server,
        Buyer(bids("21.00"), ACCEPTS) as buyer,
    ):
        drop = drop_at(protocol, server)
        await sold(world, followed(f"twice-{protocol}", buyer, drop=drop))
        await send_all(world, tls=trusting(certificate))
        before = list(server.log)
        await world.rows("update outbox set state = 'waiting', due_at = now()")
        await send_all(world, tls=trusting(certificate))
        assert server.log == before
        assert len(server.files()) == 1
    assert await states(world) == [("done", "it was there from an earlier try")]


async def test_leads_are_gathered_and_put_down_together(world: World, tmp_path: Path) -> None:
    async with sftp_server(tmp_path / "files") as server, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = followed("batched", buyer, drop=by_sftp(server, format="csv", every_min=60))
        for _ in range(3):
            await sold(world, document)
        assert await send_all(world) == 0
        [row] = await world.rows("select count(*), bool_and(extract(epoch from due_at)::bigint % 3600 = 0) as whole, "
                                 "max(due_at) <= now() + interval '1 hour' as soon from outbox")  # fmt: skip
        assert tuple(row) == (3, True, True)
        await make_due(world)
        server.dies_in = 1
        await send_all(world)
        assert server.files() == {}
        await sold(world, document)  # comes too late for this file
        await world.rows("update outbox set due_at = now() where batch_id is not null")
        assert await send_all(world) == 1
        [(name, content)] = server.files().items()
        first, *_ = await outbox_rows(world)
        assert name == f"{first['batch_id']}.csv"
        written = [row["attempt_id"] for row in csv.DictReader(io.StringIO(content.decode()))]
        assert written == [post.json["attempt_id"] for post in buyer.posts[:3]]
        await make_due(world)
        await send_all(world)
        assert len(server.files()) == 2
    assert [state for state, _ in await states(world)] == ["done"] * 4


async def test_of_a_batch_in_json_there_is_a_list_and_an_erased_lead_is_not_in_it(world: World, tmp_path: Path) -> None:
    async with sftp_server(tmp_path / "files") as server, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = followed("listed", buyer, drop=by_sftp(server, every_min=1))
        posts = [await sold(world, document) for _ in range(2)]
        await erase(world.database, posts[0]["post_id"])
        await make_due(world)
        await send_all(world)
        [content] = server.files().values()
    [only] = json.loads(content)
    assert only["ping_id"] == posts[1]["ping_id"]


@pytest.mark.parametrize("name", ['=HYPERLINK("http://evil.example")', "+1+1", "-1+cmd", "@SUM(A1)"])
async def test_a_text_that_is_a_formula_is_refused_for_csv_and_keeps_no_other_lead_back(
    world: World, tmp_path: Path, name: str
) -> None:
    async with sftp_server(tmp_path / "files") as server, Buyer(bids("21.00"), ACCEPTS) as buyer:
        document = followed("formulas", buyer, drop=by_sftp(server, format="csv", every_min=5))
        await sold(world, document, CONTACT | {"first_name": name})
        await sold(world, document)
        await make_due(world)
        await send_all(world)
        [content] = server.files().values()
    assert name.encode() not in content
    assert b"+13125550123" in content
    refused = "a spreadsheet would take the field first_name for a formula"
    assert sorted(await states(world)) == [("dead", refused), ("done", "")]


async def test_values_with_line_breaks_quotes_and_commas_arrive_in_csv_as_they_are(
    world: World, tmp_path: Path
) -> None:
    async with sftp_server(tmp_path / "files") as server, Buyer(bids("21.00"), ACCEPTS) as buyer:
        await sold(
            world, followed("quoted", buyer, drop=by_sftp(server, format="csv")), CONTACT | {"first_name": HOSTILE}
        )
        await send_all(world)
        [content] = server.files().values()
    [row] = csv.DictReader(io.StringIO(content.decode(), newline=""))
    assert row["first_name"] == HOSTILE


async def test_a_private_address_gets_nothing_unless_that_is_allowed(tmp_path: Path) -> None:
    async with sftp_server(tmp_path / "files") as server:
        files = Files(Protocol.SFTP, "localhost", server.port, FILES_USER, host_key=server.host_key)
        file = File("a.json", b"{}", again=False)
        servers = FileServers(bare_context(), allow_private=False)
        found = await servers.put(files, Login(FILES_PASSWORD), file, Departure())
        assert (found, server.files()) == (Failed("address_refused", arrival=Arrival.NOT_SENT), {})


async def test_what_was_gathered_for_a_file_goes_the_way_that_the_market_names_now(
    world: World, tmp_path: Path
) -> None:
    receiver = Receiver()
    async with (
        receiver.listening() as hook,
        sftp_server(tmp_path / "files") as server,
        Buyer(bids("21.00"), ACCEPTS) as buyer,
    ):
        document = followed("changed", buyer, drop=by_sftp(server, every_min=60))
        for _ in range(2):
            await sold(world, document)
        document["orders"]["changed"]["deliver"] = {"drop": {"webhook": {"url": hook.url, "secret": SECRET}}}
        await world.apply(document)
        await make_due(world)
        await send_all(world)
        assert server.files() == {}
    assert len({verified(received)["data"]["attempt_id"] for received in receiver.got}) == 2
    assert [state for state, _ in await states(world)] == ["done", "done"]
