"""One answer, from packets: however it is cut, it means the same; whatever it is, it ends."""

import gc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exchange.buyers import answer
from exchange.buyers.answer import AnswerReader, read_plain_head
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


@settings(max_examples=400, derandomize=True)
@given(
    st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([*WHOLE, b"\r\n", b"HTTP/1.1 "])), max_size=6),
    st.booleans(),
)
@example([b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nrest"], False)
def test_rubbish_is_refused_or_waited_for(packets: list[bytes], ends: bool) -> None:
    read(*packets, ends=ends)


def quickly(packet: bytes) -> tuple[int, bytes] | None:
    """How a connection uses plain heads."""
    end = packet.find(b"\r\n\r\n") + 4
    plain = read_plain_head(packet[:end])
    return None if plain is None or plain[1] != len(packet) - end else (plain[0], packet[end:])


names = st.sampled_from(
    [b"Date", b"X-Request-Id", b"content-type", b"Content-Length", b"CONTENT-LENGTH", b"Content-Encoding", b"Cookie",
     b"Connection", b"Proxy-Connection", b"Transfer-Encoding", b"Trailer", b"Upgrade", b"Keep-Alive", b"x", b"",
     b"x y", b"x\t", b"\xe9"]
)  # fmt: skip
values = st.one_of(
    st.sampled_from(
        [b"5", b"0", b"00005", b"5 ", b"\t5", b"5, 5", b"+5", b"gzip", b"identity", b"close", b"Keep-Alive", b""]
    ),
    st.sampled_from(
        [b"keep-alive, close", b"chunked", b"h2c", b"a: b", b"x\n", b"x\ry", b"\x00", b"\x7f", b"\xff", b"\tx "]
    ),
)
headers = st.builds(b"%b%b%b".__mod__, st.tuples(names, st.sampled_from([b": ", b":", b" :", b""]), values))


@st.composite
def packets(draw: st.DrawFn) -> bytes:
    """Answers of the usual kind, and such as differ from it by little."""
    start = draw(st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 X", b"HTTP/1.1 503 "]))
    start = draw(
        st.sampled_from([start, start, start, b"HTTP/1.0 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 103 X", b"HTTP/1.1 2 X"])
    )
    usual = st.sampled_from([b"Content-Length: 5", b"content-length:5", b"Date: x", b"Connection: keep-alive", b"a:b"])
    lines = draw(st.lists(st.one_of(usual, usual, headers), max_size=5))
    ends = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r\n "]))
    body = draw(st.sampled_from([b"hello", b"hello", b"", b"hell", b"hello!", b"\r\nabc"]))
    return ends.join([start, *lines]) + ends + b"\r\n" + body


@settings(max_examples=400, deadline=None)
@given(packets())
@example(PLAIN)
@example(EMPTY)
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello")
@example(b"HTTP/1.1 204 OK\r\nContent-Length: 5\r\n\r\n")
@example(b"HTTP/1.1 204 OK\r\nContent-Length: 5\r\n\r\nhello")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello")
@example(b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 5\r\n\r\nhello")
def test_the_quick_way_says_what_the_reader_says(packet: bytes) -> None:
    plain = quickly(packet)
    if plain is not None:
        assert read(packet) == (*plain, True)


@pytest.mark.parametrize(
    "lines", [b"", b"Date: x\r\n", b"Connection: keep-alive\r\ncontent-type: application/json\r\n"]
)
def test_usual_answers_take_the_quick_way(lines: bytes) -> None:
    assert quickly(b"HTTP/1.1 200 OK\r\n" + lines + b"content-length: 5\r\n" + lines + b"\r\nhello") == (200, b"hello")
    assert quickly(b"HTTP/1.1 503 \r\nContent-Length:0\r\n" + lines + b"\r\n") == (503, b"")
    assert quickly(b"HTTP/1.1 204 No Content\r\n" + lines + b"\r\n") == (204, b"")


def test_no_quick_way_leads_around_a_limit() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    assert quickly(head % answer.BODY_BYTES_MAX + b"x" * answer.BODY_BYTES_MAX) is not None
    assert quickly(head % (answer.BODY_BYTES_MAX + 1) + b"x" * (answer.BODY_BYTES_MAX + 1)) is None


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
