"""Buyers behind TLS: the good ones are asked like any other, the bad ones cost their own bid only."""

import asyncio
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from misbehaviour import BadBuyer, Peer, bid, keeps_saying, says
from ping_engine import Engine, engine, eventually

from exchange.buyers import resolver
from exchange.buyers.calls import NOT_CONNECTED
from exchange.buyers.limits import Limits
from exchange.buyers.resolver import Address
from exchange.buyers.tls import trusting_context
from exchange.values.bid import Bid, Refusal, Reply
from exchange.values.reason import Reason

TEN = Bid(10_000_000)
NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Issues certificates that the engine of these tests trusts."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def trusted(self) -> ssl.SSLContext:
        pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def server(self, folder: Path, name: str = "buyer.test", until: dt.datetime = NOW + DAY) -> ssl.SSLContext:
        """What a buyer of that name listens with."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = issue(name, key, self.key, until, issuer="authority")
        file = folder / "server.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def issue(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    until: dt.datetime,
    *,
    issuer: str,
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 3 * DAY)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .sign(by, hashes.SHA256())
    )


def new_authority() -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(key, issue("authority", key, key, NOW + DAY, issuer="authority"))


AUTHORITY = new_authority()


@pytest.fixture
async def asking(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    """An engine that trusts the authority, in a world where every name is this machine's."""
    monkeypatch.setattr(resolver, "resolve", this_machine)
    async with engine(Limits(handshake_s=0.8), AUTHORITY.trusted()) as opened:
        yield opened


async def this_machine(_: str, port: int) -> tuple[Address, ...]:
    return (Address(socket.AF_INET, ("127.0.0.1", port)),)


def named(buyer: BadBuyer, name: str = "buyer.test") -> str:
    return f"https://{name}:{buyer.port}/bid"


async def reply_of(asking: Engine, url: str) -> Reply:
    """What becomes of one buyer, beside a good one who must not notice."""
    async with BadBuyer(keeps_saying(bid())) as good:
        asked = await asking.ask(url, good)
    assert asked[1].reply == TEN
    return asked[0].reply


async def test_a_good_buyer_is_asked_and_his_connection_kept(asking: Engine, tmp_path: Path) -> None:
    async with BadBuyer(keeps_saying(bid()), AUTHORITY.server(tmp_path)) as buyer:
        for _ in range(5):
            assert await reply_of(asking, named(buyer)) == TEN
        assert buyer.connections == 1
        assert b"\r\nHost: buyer.test:%d\r\n" % buyer.port in buyer.requests[0]


async def test_an_answer_that_ends_with_the_connection(asking: Engine, tmp_path: Path) -> None:
    script = says(b'HTTP/1.0 200 OK\r\n\r\n{"bid":"10.00"}')
    async with BadBuyer(script, AUTHORITY.server(tmp_path)) as buyer:
        assert await reply_of(asking, named(buyer)) == TEN


async def test_a_stale_connection_is_replaced(asking: Engine, tmp_path: Path) -> None:
    async def once_good(peer: Peer) -> None:
        await peer.request()
        await peer.say(bid())
        if buyer.connections > 1:
            await peer.request()
            await peer.say(bid())
        await peer.request()

    async with BadBuyer(once_good, AUTHORITY.server(tmp_path)) as buyer:
        assert await reply_of(asking, named(buyer)) == TEN
        assert await reply_of(asking, named(buyer)) == TEN
    assert asking.fanout.stats().retried == 1


async def test_an_expired_certificate(asking: Engine, tmp_path: Path) -> None:
    async with BadBuyer(says(bid()), AUTHORITY.server(tmp_path, until=NOW - DAY)) as buyer:
        assert await reply_of(asking, named(buyer)) == Refusal(Reason.TLS_FAILED, "certificate has expired")
        assert not buyer.requests


async def test_a_certificate_for_another_name(asking: Engine, tmp_path: Path) -> None:
    async with BadBuyer(says(bid()), AUTHORITY.server(tmp_path)) as buyer:
        found = await reply_of(asking, named(buyer, "other.test"))
        assert isinstance(found, Refusal)
        assert found.reason is Reason.TLS_FAILED
        assert "other.test" in found.detail
        assert not buyer.requests


async def test_a_certificate_that_an_address_does_not_have(asking: Engine, tmp_path: Path) -> None:
    async with BadBuyer(says(bid()), AUTHORITY.server(tmp_path)) as buyer:
        found = await reply_of(asking, buyer.url)
        assert isinstance(found, Refusal)
        assert found.reason is Reason.TLS_FAILED
        assert not buyer.requests


async def test_a_certificate_of_somebody_elses_authority(asking: Engine, tmp_path: Path) -> None:
    async with BadBuyer(says(bid()), new_authority().server(tmp_path)) as buyer:
        found = await reply_of(asking, named(buyer))
        assert isinstance(found, Refusal)
        assert found.reason is Reason.TLS_FAILED
        assert not buyer.requests


async def test_the_usual_authorities_are_trusted_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "resolve", this_machine)
    context = trusting_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    async with engine(tls=context) as asking, BadBuyer(says(bid()), AUTHORITY.server(tmp_path)) as buyer:
        found = await reply_of(asking, named(buyer))
        assert found == Refusal(Reason.TLS_FAILED, "unable to get local issuer certificate")


async def test_a_handshake_that_stalls(asking: Engine) -> None:
    async with BadBuyer(lambda peer: peer.hang()) as mute:
        found = await reply_of(asking, named(mute))
        assert found == Refusal(Reason.TLS_FAILED, "no handshake in time")
        await eventually(lambda: not mute.open)


async def test_a_handshake_that_is_broken_off(asking: Engine) -> None:
    async def shuts_the_door(_: Peer) -> None:
        await asyncio.sleep(0.01)

    async with BadBuyer(shuts_the_door) as rude:
        found = await reply_of(asking, named(rude))
        assert isinstance(found, Refusal)
        assert found.reason is Reason.TLS_FAILED


async def test_a_buyer_who_does_not_speak_tls(asking: Engine) -> None:
    async def speaks_plain(peer: Peer) -> None:
        await peer.say(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await peer.hang()

    async with BadBuyer(speaks_plain) as plain:
        found = await reply_of(asking, named(plain))
        assert isinstance(found, Refusal)
        assert found.reason is Reason.TLS_FAILED


async def test_closing_does_not_wait_for_a_handshake(asking: Engine) -> None:
    async with BadBuyer(lambda peer: peer.hang()) as mute:
        [asked] = await asking.ask(named(mute), timeout_ms=20)
        assert asked.reply == NOT_CONNECTED
        await asking.fanout.close()
        await eventually(lambda: not mute.open)
