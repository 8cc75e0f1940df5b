"""Forty bad buyers in a process of their own, each with another fault; it lives for as long as its parent does."""

import asyncio
import datetime as dt
import json
import logging
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from misbehaviour import ALL, BadBuyer, Misbehaviour, Peer, bid, black_hole, says, silent

from exchange.values.reason import Reason

_BY_NAME = {one.name: one for one in ALL}
_FROM_THE_TABLE = (
    "reads and says nothing", "does not even read", "one byte of body every 50 ms", "one byte of head every 50 ms",
    "a head and no body",
    "closes at once", "closes before the head", "closes in the head", "closes in the body", "closes in a chunk",
    "resets",
    "307 to elsewhere", "400", "429", "503", "999",
    "not HTTP", "HTTP/2.0", "two lengths", "a length that overflows", "a gzip bomb", "10,000 headers",
    "a head without end", "interim answers without end",
    "10 MB with a length", "10 MB until the end", "10 MB in a chunk", "a chunk size without end",
    '{"bid":"10.00","bid":"11.00"}', "[" * 40, '{"bid":NaN}', '{"bid":1e400}', '{"bid":"12,50"}',
    '{"bid":"10.00","currency":"EUR"}',
)  # fmt: skip


async def _speaks_plain(peer: Peer) -> None:
    await peer.say(bid())
    await peer.hang()


_NOBODY = Misbehaviour("nobody listens", silent, Reason.CONNECT_FAILED)
_HOLE = Misbehaviour("never takes a connection", silent, Reason.TIMEOUT)
_NAMELESS = Misbehaviour("a name that nobody has", silent, Reason.DNS_FAILED)
_STALLS = Misbehaviour("stalls in the TLS handshake", silent, Reason.TIMEOUT)
_PLAIN = Misbehaviour("speaks no TLS", _speaks_plain, Reason.TLS_FAILED)
_UNKNOWN = Misbehaviour("a certificate that nobody vouches for", says(bid()), Reason.TLS_FAILED)

CHOSEN = [_BY_NAME[name] for name in _FROM_THE_TABLE] + [_NOBODY, _HOLE, _NAMELESS, _STALLS, _PLAIN, _UNKNOWN]
"""Buyer `bad-NN` is the one with that number."""
assert len(CHOSEN) == 40


@asynccontextmanager
async def farm() -> AsyncIterator[dict[str, str]]:
    """The bad buyers' addresses, by name."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    try:
        urls = json.loads(await process.stdout.readline())
        yield {f"bad-{number:02d}": url for number, url in enumerate(urls)}
    finally:
        process.terminate()
        await process.wait()


async def serve() -> None:
    """Says the addresses, then misbehaves until the parent is gone."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # of clients who hang up, which is what they should do
    parent_gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), parent_gone.set)
    async with AsyncExitStack() as stack:
        print(json.dumps([await _open(one, stack) for one in CHOSEN]), flush=True)
        await parent_gone.wait()


async def _open(one: Misbehaviour, stack: AsyncExitStack) -> str:
    """Lets a buyer in; his address."""
    if one is _NOBODY:
        unused = stack.enter_context(socket.socket())
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/bid"
    if one is _HOLE:
        return stack.enter_context(black_hole())
    if one is _NAMELESS:
        return "http://no-such-buyer.invalid/bid"
    tls = _unknown_certificate() if one is _UNKNOWN else None
    buyer = await stack.enter_async_context(BadBuyer(one.script, tls, requests_max=0))
    return buyer.url.replace("http:", "https:") if one in {_STALLS, _PLAIN} else buyer.url


def _unknown_certificate() -> ssl.SSLContext:
    """What to listen with under a certificate that its owner has signed himself."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
    certificate = made.not_valid_after(now + dt.timedelta(days=1)).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with NamedTemporaryFile(suffix=".pem") as file:
        Path(file.name).write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate.public_bytes(pem)
        )
        context.load_cert_chain(file.name)
    return context


if __name__ == "__main__":
    asyncio.run(serve())
