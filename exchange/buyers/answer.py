"""One HTTP answer, collected from packets within limits: nothing that a buyer sends makes it grow, wait or raise."""

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from exchange.values.bid import Refusal
from exchange.values.reason import Reason

BODY_BYTES_MAX = 65_536
HEAD_BYTES_MAX = 32_768
HEADERS_MAX = 128
WIRE_BYTES_MAX = HEAD_BYTES_MAX + 8 * BODY_BYTES_MAX
"""Everything that an answer may come in: head, body and, with tiny chunks, several times the body in chunk headers."""

HEAD_KEPT_BYTES_MAX = 1_024
HEADS_KEPT_MAX = 32

BODY_TOO_LARGE = Refusal(Reason.RESPONSE_TOO_LARGE)
HEAD_TOO_LARGE = Refusal(Reason.INVALID_RESPONSE, "too many or too large headers")
NOT_HTTP = Refusal(Reason.INVALID_RESPONSE, "not HTTP/1")
ENCODED = Refusal(Reason.INVALID_RESPONSE, "an encoding that was not asked for")

_PLAIN = frozenset({b"", b"identity"})
_END_OF_HEAD = b"\r\n\r\n"


class KnownHeads:
    """Heads of answers that have been read before: equal bytes mean the same status and length of body again.

    Buyers answer with few different heads at a time, so most answers need no parsing. Only heads of answers that came
    alone in one packet, framed by their length, on a connection that lives on, are kept.
    """

    __slots__ = ("meanings",)

    def __init__(self) -> None:
        self.meanings: dict[bytes, tuple[int, int]] = {}

    def learn(self, reader: "AnswerReader", packet: bytes) -> None:
        """Keeps the head of the answer that `reader` has read from `packet`, if another like it can be told by it."""
        head = reader.plain_head(packet)
        if head is None or len(head) > HEAD_KEPT_BYTES_MAX:
            return
        if len(self.meanings) >= HEADS_KEPT_MAX:
            self.meanings.clear()
        self.meanings[head] = (reader.status, len(reader.body))


class AnswerReader:
    """Reads one answer, interim ones (1xx) before it skipped. It is used once, and fed no more when it is done.

    When `feed` or `end` says so, either `whole` is true, and `status` and `body` are the answer, or `refusal` says
    what is wrong with it. `keep_alive` is whether the connection may carry another request.
    """

    __slots__ = (
        "_chunks",
        "_feeds",
        "_framed",
        "_head_bytes",
        "_headers",
        "_in_head",
        "_length",
        "_parser",
        "_wire_bytes",
        "body",
        "keep_alive",
        "refusal",
        "status",
        "whole",
    )

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.whole = False
        self.keep_alive = False
        self.refusal: Refusal | None = None
        self._chunks: list[bytes] = []
        self._length = 0
        self._headers = 0
        self._head_bytes = 0
        self._wire_bytes = 0
        self._feeds = 0
        self._in_head = True
        self._framed = False
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> bool:
        """Takes a packet; true when the answer is whole or refused, and nothing more is to be fed."""
        self._feeds += 1
        self._wire_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.keep_alive = False  # what follows a whole answer is nobody's: the answer counts all the same
            if not self.whole:
                self._refuse(NOT_HTTP)
        if not self.whole and self.refusal is None:
            if self._in_head and self._wire_bytes > HEAD_BYTES_MAX:
                self._refuse(HEAD_TOO_LARGE)
            elif self._wire_bytes > WIRE_BYTES_MAX:
                self._refuse(BODY_TOO_LARGE)
        return self._finished()

    def end(self) -> bool:
        """The connection has ended in an orderly way; true if that made the answer whole (it had no length)."""
        if self.refusal is None and not self._in_head and not self._framed:
            self.whole = True
        return self._finished()

    def discard(self) -> None:
        """Ends reading early: parser and reader hold each other."""
        del self._parser

    def plain_head(self, data: bytes) -> bytes | None:
        """The head of `data`, if it was all this answer came in and any body of the same length could follow it."""
        end = data.find(_END_OF_HEAD) + len(_END_OF_HEAD)
        alone = self.whole and self.keep_alive and self._feeds == 1
        return data[:end] if alone and data[end:] == self.body else None

    def on_message_begin(self) -> None:
        if self.whole:
            raise HttpParserError  # the next message: nobody has asked for it

    def on_status(self, text: bytes) -> None:
        self._count_head(len(text))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        self._count_head(len(name) + len(value))
        if not self._in_head:
            return  # a trailer says nothing that counts
        match name.lower():
            case b"content-length":
                self._framed = True
                if int(value) > BODY_BYTES_MAX:
                    self._stop(BODY_TOO_LARGE)
            case b"transfer-encoding":
                self._framed = True
                if value.strip().lower() != b"chunked":
                    self._stop(ENCODED)
            case b"content-encoding":
                if value.strip().lower() not in _PLAIN:
                    self._stop(ENCODED)

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status == 101 or not self._parser.get_http_version().startswith("1."):
            self._stop(NOT_HTTP)
        self._in_head = 100 <= self.status < 200

    def on_body(self, data: bytes) -> None:
        self._length += len(data)
        if self._length > BODY_BYTES_MAX:
            self._stop(BODY_TOO_LARGE)
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        if self._in_head:
            self._framed = False  # an interim answer: the final one is still to come
            return
        self.whole = True
        self.keep_alive = self._parser.should_keep_alive()

    def _count_head(self, count: int) -> None:
        self._head_bytes += count
        if self._headers > HEADERS_MAX or self._head_bytes > HEAD_BYTES_MAX:
            self._stop(HEAD_TOO_LARGE)

    def _stop(self, refusal: Refusal) -> None:
        self._refuse(refusal)
        raise HttpParserError

    def _refuse(self, refusal: Refusal) -> None:
        if self.refusal is None:
            self.refusal = refusal

    def _finished(self) -> bool:
        if not self.whole and self.refusal is None:
            return False
        self.discard()
        self.body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        return True
