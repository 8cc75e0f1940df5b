"""One answer, from packets: however it is cut, it means the same; whatever it is, it ends."""

import gc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exchange.buyers import answer
from exchange.buyers.answer import AnswerReader, KnownHeads
from exchange.values.bid import Refusal

PLAIN = b'HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 15\r\n\r\n{"bid":"10.00"}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" + PLAIN
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
WITHOUT_LENGTH = b"HTTP/1.0 200 OK\r\n\r\nhi"
EMPTY = b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"
WHOLE = [PLAIN, CHUNKED, INTERIM, CLOSING, EMPTY]

Outcome = tuple[int, bytes, bool] | Refusal | None
"""Status, body and whether the connection lives; or what is wrong; or None while more is to come."""


def read(*packets: bytes, ends: bool = False) -> Outcome:
    reader = AnswerReader()
    done = any(reader.feed(packet) for packet in packets if packet) or (ends and reader.end())
    if not done:
        assert (reader.whole, reader.refusal) == (False, None)
        return None
    assert reader.whole == (reader.refusal is None)
    return reader.refusal or (reader.status, reader.body, reader.keep_alive)


@pytest.mark.parametrize(
    ("packet", "status", "body", "keep_alive"),
    [
        (PLAIN, 200, b'{"bid":"10.00"}', True),
        (CHUNKED, 200, b"abcde", True),
        (INTERIM, 200, b'{"bid":"10.00"}', True),
        (CLOSING, 200, b"hi", False),
        (EMPTY, 204, b"", True),
        (PLAIN + b"H", 200, b'{"bid":"10.00"}', False),
        (PLAIN + b"\x00", 200, b'{"bid":"10.00"}', False),
        (PLAIN + EMPTY, 200, b'{"bid":"10.00"}', False),
        (CLOSING + b"more", 200, b"hi", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi", True),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b"", True),
        (b"HTTP/1.1 200\r\nContent-Length:0\r\n\r\n", 200, b"", True),
    ],
)
def test_a_whole_answer(packet: bytes, status: int, body: bytes, keep_alive: bool) -> None:
    assert read(packet) == (status, body, keep_alive)


@given(st.sampled_from(WHOLE), st.lists(st.integers(0, 120), max_size=8))
def test_it_means_the_same_however_it_is_cut(content: bytes, cuts: list[int]) -> None:
    places = sorted(min(cut, len(content)) for cut in cuts)
    packets = [content[a:b] for a, b in zip([0, *places], [*places, len(content)], strict=True)]
    assert read(*packets) == read(content)


def test_without_a_length_the_end_of_the_connection_is_the_end_of_the_answer() -> None:
    assert read(WITHOUT_LENGTH) is None
    assert read(WITHOUT_LENGTH, ends=True) == (200, b"hi", False)


@pytest.mark.parametrize("content", WHOLE)
def test_an_answer_that_breaks_off_is_not_whole(content: bytes) -> None:
    for length in range(len(content)):
        assert read(content[:length], ends=True) is None


def test_bodies_are_cut_at_their_limit_before_they_have_come() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    assert read(head % answer.BODY_BYTES_MAX) is None
    assert read(head % (answer.BODY_BYTES_MAX + 1)) == answer.BODY_TOO_LARGE


@pytest.mark.parametrize("head", [b"Transfer-Encoding: chunked\r\n\r\n40000\r\n", b"\r\n"])
def test_bodies_without_a_length_are_counted(head: bytes) -> None:
    packets = [b"HTTP/1.1 200 OK\r\n" + head, *[b"x" * 8_192] * 8]
    assert read(*packets) is None
    assert read(*packets, b"x") == answer.BODY_TOO_LARGE


def test_heads_are_counted() -> None:
    fits = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * answer.HEADERS_MAX
    assert read(fits + b"\r\n") is None
    assert read(fits + b"X: y\r\n\r\n") == answer.HEAD_TOO_LARGE
    assert read(b"HTTP/1.1 200 OK\r\nX: ", *[b"y" * 1_024] * 32) == answer.HEAD_TOO_LARGE
    assert read(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000 + b"\r\n\r\n") == answer.HEAD_TOO_LARGE


def test_what_surrounds_chunks_is_counted() -> None:
    chunk = b"1;" + b"x" * 16_000 + b"\r\na\r\n"
    assert read(CHUNKED[:47], *[chunk] * 40) == answer.BODY_TOO_LARGE


@pytest.mark.parametrize("value", [b"gzip", b"br", b"identity, gzip", b"GZIP"])
def test_an_encoding_is_refused(value: bytes) -> None:
    assert read(b"HTTP/1.1 200 OK\r\nContent-Encoding: " + value + b"\r\nContent-Length: 0\r\n\r\n") == answer.ENCODED
    assert read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + value + b", chunked\r\n\r\n") == answer.ENCODED


@settings(max_examples=1_000, derandomize=True)
@given(
    st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([*WHOLE, b"\r\n", b"HTTP/1.1 "])), max_size=6),
    st.booleans(),
)
@example([b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nrest"], False)
def test_rubbish_is_refused_or_waited_for(packets: list[bytes], ends: bool) -> None:
    read(*packets, ends=ends)


@settings(max_examples=500, derandomize=True)
@given(
    st.sampled_from(WHOLE),
    st.sampled_from([b"", b"\r\n", b"x", b'{"bid":"11.00"}', b'{"bid":"9.00"}', b"0123456789", PLAIN]),
)
def test_a_known_head_says_what_reading_would(first: bytes, body: bytes) -> None:
    """The way in which a connection uses known heads, against the reader."""
    known, reader = KnownHeads(), AnswerReader()
    assert reader.feed(first)
    known.learn(reader, first)
    packet = first[: first.find(b"\r\n\r\n") + 4] + body
    end = packet.find(b"\r\n\r\n") + 4
    meaning = known.meanings.get(packet[:end])
    if meaning is not None and len(packet) - end == meaning[1]:
        assert read(packet) == (meaning[0], packet[end:], True)


def test_heads_are_learnt_from_plain_answers_only_and_not_for_ever() -> None:
    known = KnownHeads()
    for content in (CHUNKED, INTERIM, CLOSING, PLAIN + EMPTY):
        reader = AnswerReader()
        assert reader.feed(content)
        known.learn(reader, content)
    assert not known.meanings
    for number in range(answer.HEADS_KEPT_MAX + 1):
        content = b"HTTP/1.1 200 OK\r\nX-Id: %d\r\nContent-Length: 0\r\n\r\n" % number
        reader = AnswerReader()
        assert reader.feed(content)
        known.learn(reader, content)
    assert len(known.meanings) == 1
    long = b"HTTP/1.1 200 OK\r\nX: " + b"y" * answer.HEAD_KEPT_BYTES_MAX + b"\r\nContent-Length: 0\r\n\r\n"
    reader = AnswerReader()
    assert reader.feed(long)
    known.learn(reader, long)
    assert len(known.meanings) == 1


def test_readers_leave_nothing_to_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        for content in (*WHOLE, b"Hello!\r\n"):
            read(content)
        discarded = AnswerReader()
        assert not discarded.feed(PLAIN[:40])
        discarded.discard()
        del discarded
        assert gc.collect() == 0
    finally:
        gc.enable()
