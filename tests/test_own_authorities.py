"""Authorities of the operator's own: buyers, tokens, mail and file servers whose certificates they gave are trusted."""

import datetime as dt
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from ssl import SSLContext

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.buyer import ACCEPTS, Answer, Buyer, Received, bids, reply
from support.certificates import DAY, make_authority, serving_with
from support.commands import shell_on
from support.file_servers import PASSWORD, USER
from support.ftps_server import ftps_server
from support.mail_server import mail_server
from support.market import CONTACT, LEAD, Document, market
from support.waiting import until
from support.world import World, open_world

from exchange.buyers.tls import bare_context, check_authorities, trusting_context
from exchange.embedded.lease import Services
from exchange.errors import SettingsError

Files = tuple[Path, Path]
"""The authority's certificate, and what `localhost` serves with."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_authority(tmp_path_factory.mktemp("authorities"))


@pytest.fixture
async def world(services: Services, tmp_path: Path, files: Files) -> AsyncIterator[World]:
    """An exchange that trusts the authority."""
    async with open_world(services, tmp_path, ca_file=files[0]) as opened:
        yield opened


def with_token(buyer: Buyer) -> Document:
    document = market({"north": buyer})
    terms = {"token_url": f"{buyer.url}/token", "client_id": "lx", "secret": "s3cret"}
    document["buyers"]["north"]["endpoint"]["auth"] = {"oauth2": terms}
    return document


def answers(received: Received) -> Answer:
    if received.path == "/token":
        return reply({"access_token": "t-1", "token_type": "bearer"})
    assert received.headers["authorization"] == "Bearer t-1"
    return reply({"bid": "21.00", "bid_id": "b1"})


async def test_buyers_are_asked_and_delivered_to_and_their_tokens_fetched(world: World, files: Files) -> None:
    async with Buyer(answers, ACCEPTS, tls=serving_with(files[1])) as buyer:
        await world.apply(with_token(buyer))
        offer = await until(world.ping, lambda found: found["status"] == "offered")  # as soon as there is a token
        assert (await world.post(offer["ping_id"]))["status"] == "accepted"


async def test_without_them_a_buyer_is_refused_as_before(services: Services, tmp_path: Path, files: Files) -> None:
    async with open_world(services, tmp_path) as world, Buyer(bids("21.00"), tls=serving_with(files[1])) as buyer:
        await world.apply(market({"north": buyer}))
        found = await world.ping()
        assert found["status"] == "unsold"
        assert await world.reasons(found["ping_id"]) == {"north": 103}


async def test_mail_and_files_are_sent_over_connections_that_they_vouch_for(
    services: Services, tmp_path: Path, files: Files
) -> None:
    authority, own = files
    async with mail_server(serving_with(own)) as box, ftps_server(tmp_path / "files", serving_with(own)) as server:
        smtp = {"smtp_url": f"smtp://localhost:{box.port}", "smtp_from": "leads@exchange.example"}
        async with open_world(services, tmp_path, ca_file=authority, **smtp) as world:
            ftps = {"host": "localhost", "port": server.port, "user": USER, "password": PASSWORD}
            ways: tuple[Document, ...] = ({"email": {"to": ["desk@buyer.example"]}}, {"ftps": ftps})
            for number, means in enumerate(ways):
                document = market({"north": "http://127.0.0.1:9"}, orders={"north": {"price": "12.00"}})
                document["buyers"]["north"]["endpoint"] = means | {"post_timeout_ms": 5000}
                await world.apply(document)
                lead = CONTACT | {"phone": f"312-555-010{number}"}
                assert (await world.post((await world.ping())["ping_id"], lead))["status"] == "accepted"
    assert len(box.messages) == 1
    assert len(list((tmp_path / "files").iterdir())) == 1


async def test_a_sample_is_sent_to_a_buyer_that_they_vouch_for(
    services: Services, tmp_path: Path, files: Files
) -> None:
    shell = shell_on(services, tmp_path)
    async with Buyer(bids("21.00"), tls=serving_with(files[1])) as buyer:
        (tmp_path / "market.yaml").write_text(json.dumps(market({"north": buyer})))
        (tmp_path / "sample.json").write_text(json.dumps(LEAD))
        assert (await shell.run("apply", "market.yaml", "--yes")).status == 0
        refused = await shell.run("buyer", "try", "north", "--lead", "sample.json")
        shell.environment["EXCHANGE_CA_FILE"] = str(files[0])
        done = await shell.run("buyer", "try", "north", "--lead", "sample.json")
    assert (refused.status, "tls_failed" in refused.out) == (1, True)
    assert (done.status, "It means: bid: 21.00" in done.out) == (0, True)


@pytest.mark.parametrize("context", [trusting_context, bare_context])
def test_they_are_trusted_besides_the_usual_ones(files: Files, context: Callable[[Path | None], SSLContext]) -> None:
    assert context(files[0]).cert_store_stats()["x509"] == context(None).cert_store_stats()["x509"] + 1


def test_several_may_stand_in_one_file_with_words_between(files: Files, tmp_path: Path) -> None:
    other, _ = make_authority(tmp_path)
    (tmp_path / "both.pem").write_text(f"# Größe\n{files[0].read_text()}\nand\n{other.read_text()}")
    usual = bare_context().cert_store_stats()["x509"]
    assert bare_context(tmp_path / "both.pem").cert_store_stats()["x509"] == usual + 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        ("", "has no certificate"),
        ("no PEM", "has no certificate"),
        ("key", "has no certificate"),
        ("revoked", "has no certificate"),
        ("cut", "has no certificate"),
    ],
)
def test_a_file_that_is_none_is_said(files: Files, tmp_path: Path, content: str | None, said: str) -> None:
    authority, own = (file.read_text() for file in files)
    texts = {"key": own.partition("-----BEGIN CERTIFICATE")[0], "revoked": revoked(), "cut": authority[:-200]}
    if content is not None:
        (tmp_path / "ca.pem").write_text(texts.get(content, content))
    with pytest.raises(SettingsError, match=f"EXCHANGE_CA_FILE: {tmp_path}/ca.pem {said}"):
        check_authorities(tmp_path / "ca.pem")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        bare_context(tmp_path)


@pytest.mark.parametrize("command", [("serve", "--port", "0", "--workers", "2"), ("worker",)])
async def test_nothing_starts_with_a_file_that_cannot_be_read(
    services: Services, tmp_path: Path, command: tuple[str, ...]
) -> None:
    shell = shell_on(services, tmp_path)
    shell.environment["EXCHANGE_CA_FILE"] = "away.pem"
    done = await shell.run(*command)
    assert done.status == 1
    assert "EXCHANGE_CA_FILE: away.pem cannot be read: No such file or directory" in done.err
    assert "Traceback" not in done.err


def revoked() -> str:
    """A list of what an authority has taken back: PEM, and no certificate."""
    now, name = dt.datetime.now(dt.UTC), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Own Authority")])
    made = x509.CertificateRevocationListBuilder().issuer_name(name).last_update(now).next_update(now + DAY)
    signed = made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()
