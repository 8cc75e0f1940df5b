"""Searches, guided by coverage, for bytes of a buyer that the ping engine cannot take. Optional: it needs atheris.

    pip install atheris==3.0.0                                  # not among the project's own requirements
    python loadtests/fuzz_answers.py answers --seconds 60
    python loadtests/fuzz_answers.py bids --seconds 60
    python loadtests/fuzz_answers.py mapped --seconds 60

`answers`: an HTTP answer in packets. Reading it never raises, packets make no difference, and where the short way for
usual heads is taken, the parser says the same. `bids`: the body of a 200. Reading it never raises, and where the short
way for usual bids is taken, the exact reader says the same. `mapped`: the body of any status, read as JSON, XML and
text by the rules of mappings. Reading it never raises, nothing is a yes that says no word which a rule has for yes, and
the short way for bids says what the long one says.

The search ends with status 0 after its time, or at the first input that breaks one of these, which it prints and leaves
in a file `crash-…` in the current folder. Without atheris it says so and does nothing.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BYTES_MAX = 4_096
ANSWERS = [
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"bid":"10.00"}',
    b"HTTP/1.1 204 No Content\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n\r\n",
    b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8;x=y\r\n{"bid":"\r\n7\r\n10.00"}\r\n0\r\nX: y\r\n\r\n',
    b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"bid":"10.00"}',
    b'HTTP/1.0 200 OK\r\nContent-Encoding: identity\r\n\r\n{"bid":"10.00"}',
    b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nConnection: keep-alive\r\ncontent-length:0\r\n\r\n",
]
BIDS = [
    b'{"bid":"10.00"}',
    b'{"bid": 10.000001, "bid_id": "b-1"}',
    b'{"bid":"10.00","bid_id":null,"currency":"USD","sale":"exclusive"}',
    b'{"bids":[{"bid":"1.00"},{"bid":2,"currency":"EUR"},{"bid":null}]}',
    b'{"bid":null,"reason":"no"}',
    b'{"bid":1e400,"note":"\\ud800\\u0000"}',
]

MAPPED = [
    b'{"ok":"yes","price":"21.10","id":"a"}',
    b'{"ok":true,"price":21.10,"ok":false}',
    b'{"error":{"why":"no"},"OK":"yes","price":"1e9"}',
    b'<?xml version="1.0"?><a xmlns:b="u"><b:ok>yes</b:ok><price>21.10</price><id>a</id></a>',
    b"<s:Envelope xmlns:s='u'><s:Body><s:Fault/><ok>yes</ok></s:Body></s:Envelope>",
    b'<!DOCTYPE a [<!ENTITY b "yes">]><a><ok>&b;</ok></a>',
    b'{"ok":"yes","bids":[{"ok":"yes","price":21.10,"id":"a"},{"ok":"no"}]}',
    b"<a><ok>yes</ok><bid><ok>yes</ok><price>21.10</price></bid><bid/></a>",
    b"yes price=21.10 id=a",
    b"no: error\xff\xfe",
]
PATHS = {"json": ("ok", "error", "price", "id"), "xml": ("//ok", "//error", "//price", "//id")}
"""Where mappings look for a yes or no, an error, a price and a token, by the format of the answer."""

LISTS = ("bids", "//bid")
"""Where they look for lists of bids, by the same formats."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["answers", "bids", "mapped"])
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    try:
        atheris: Any = import_module("atheris")
    except ImportError:
        print("fuzz_answers: SKIPPED, nothing was searched: pip install atheris==3.0.0 first", file=sys.stderr)
        return 0
    with atheris.instrument_imports(include=["exchange.buyers", "exchange.values"]):
        kinds: dict[str, tuple[Callable[[], Any], list[bytes]]]
        kinds = {"answers": (Answers, ANSWERS), "bids": (Bids, BIDS), "mapped": (MappedAnswers, MAPPED)}
        make, seeds = kinds[options.what]
        check = make()
    with TemporaryDirectory() as folder:
        for number, seed in enumerate(seeds):
            (Path(folder) / f"seed-{number}").write_bytes(b"\0" + seed)
        flags = [f"-max_total_time={options.seconds}", f"-max_len={BYTES_MAX}", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *flags, folder], check)
        atheris.Fuzz()  # does not return
    return 1


class Answers:
    """Reads bytes as an HTTP answer, in as many ways as there are."""

    def __init__(self) -> None:
        module = import_module("exchange.buyers.answer")
        self._reader: Callable[[], Any] = module.AnswerReader
        self._read_plain_head: Callable[[bytes], tuple[int, int] | None] = module.read_plain_head.__wrapped__

    def __call__(self, data: bytes) -> None:
        """The first byte says where the packets end."""
        pause, content = data[:1], data[1:]
        whole = self._read([content])
        assert self._read(packets(content, pause))[:3] == whole[:3], "packets make a difference"
        end = content.find(b"\r\n\r\n") + 4
        plain = self._read_plain_head(content[:end])
        if plain is not None and plain[1] == len(content) - end:
            assert whole == (plain[0], content[end:], None, True), "the short way says something else"

    def _read(self, parts: Iterator[bytes] | Sequence[bytes]) -> tuple[int, bytes, object, bool]:
        """The status and the body, or what is wrong, and whether the connection lives."""
        reader = self._reader()
        done = any(reader.feed(part) for part in parts) or reader.end()
        if not done:
            reader.discard()
            return 0, b"", "not whole", False
        if reader.refusal is not None:
            return 0, b"", reader.refusal.reason, False  # of two faults, packets may decide which is told
        assert reader.whole
        return reader.status, reader.body, None, reader.keep_alive


def packets(content: bytes, pause: bytes) -> Iterator[bytes]:
    """The same bytes in pieces of one length."""
    length = 1 + (pause[0] if pause else 0)
    for start in range(0, len(content), length):
        yield content[start : start + length]


class Bids:
    """Reads bytes as the body of a bid."""

    def __init__(self) -> None:
        native, market = import_module("exchange.buyers.dialects.native"), import_module("exchange.values.market")
        self._terms = [{"sale": sale, "currency": "USD"} for sale in market.Sale]
        self._native = native
        self._reply = import_module("exchange.values.bid").Reply

    def __call__(self, data: bytes) -> None:
        for terms in self._terms:
            reply = self._native.read_bid(200, data[1:], **terms)
            assert isinstance(reply, self._reply)
            assert reply == self._native.bid_reader(**terms)(200, data[1:])
            assert reply == self._native._read_exactly(data[1:], **terms), "the short way says something else"  # noqa: SLF001  # what it must equal


class MappedAnswers:
    """Reads bytes as answers to pings and posts of buyers with mappings."""

    def __init__(self) -> None:
        replies, mapping = import_module("exchange.buyers.dialects.replies"), import_module("exchange.values.mapping")
        bid, market = import_module("exchange.values.bid"), import_module("exchange.values.market")
        self._bid, self._accepted = bid.Bid, bid.Accepted
        self._outcomes = bid.Bid | bid.Refusal, bid.Accepted | bid.Rejected | bid.Unknown
        self._sales = market.Sale
        rules = [_rules(mapping, form, *paths) for form, paths in PATHS.items()] + [_text_rules(mapping)]
        rules += [replace(rules[number], bids=mapping.BidList(at, rules[number])) for number, at in enumerate(LISTS)]
        self._readers = [replies.Reader(item) for item in rules]

    def __call__(self, data: bytes) -> None:
        """The first byte says the status."""
        status, body = 100 + 100 * (data[0] % 5) if data else 200, data[1:]
        for reader in self._readers:
            for sale in (self._sales.EXCLUSIVE, self._sales.SHARED, self._sales.EITHER):
                reply = reader.bid_readers[sale](status, body)
                assert isinstance(reply, self._outcomes[0])
                assert reply == reader.read_bid(status, body, sale), "the short way says something else"
            delivery = reader.read_delivery(status, body, 5_000_000)
            assert isinstance(delivery, self._outcomes[1])
            assert isinstance(reader.read_status(status, body, 5_000_000), self._outcomes[1])
            if isinstance(reply, self._bid) or isinstance(delivery, self._accepted):
                assert status == 200, "a yes in an error"
                assert _may_say_yes(body), "a yes without a word for it"


def _may_say_yes(body: bytes) -> bool:
    """Whether there is a `yes` or a `true` in it, or what could spell one: an escape, an element within a text."""
    text = body.decode(errors="replace").casefold()
    return any(part in text for part in ("yes", "true", "\\u", "<"))


def _rules(mapping: Any, form: str, yes: str, error: str, price: str, bid_id: str) -> Any:
    condition, saying = mapping.Condition, mapping.Saying
    return mapping.ReplyRules(
        format=mapping.Format(form),
        error=(condition(at=error, exists=True),),
        reject=(condition(at=yes, values=("no", "false")),),
        success=(condition(at=yes, values=("yes", "true")),),
        price=saying(price),
        bid_id=saying(bid_id, optional=True),
    )


def _text_rules(mapping: Any) -> Any:
    return mapping.ReplyRules(
        format=mapping.Format.TEXT,
        reject=(mapping.Condition(matches="^no"),),
        success=(mapping.Condition(matches="^yes"),),
        price=mapping.Saying(matches="price=([0-9.]+)"),
        bid_id=mapping.Saying(matches="id=([a-z]+)", optional=True),
    )


if __name__ == "__main__":
    sys.exit(main())
