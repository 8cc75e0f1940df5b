"""One HTTP answer, collected from packets within limits: nothing that a buyer sends makes it grow, wait or raise."""

import re
from functools import lru_cache

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from exchange.values.bid import Refusal
from exchange.values.reason import Reason

BODY_BYTES_MAX = 65_536
HEAD_BYTES_MAX = 32_768
HEADERS_MAX = 128
WIRE_BYTES_MAX = HEAD_BYTES_MAX + 8 * BODY_BYTES_MAX
"""Everything that an answer may come in: head, body and, with tiny chunks, several times the body in chunk headers."""

RETRY_AFTER_BYTES_MAX = 64

PLAIN_HEAD_BYTES_MAX = 2_048
PLAIN_HEADS_KEPT_MAX = 1_024

BODY_TOO_LARGE = Refusal(Reason.RESPONSE_TOO_LARGE)
HEAD_TOO_LARGE = Refusal(Reason.INVALID_RESPONSE, "too many or too large headers")
NOT_HTTP = Refusal(Reason.INVALID_RESPONSE, "not HTTP/1")
ENCODED = Refusal(Reason.INVALID_RESPONSE, "an encoding that was not asked for")

_UNENCODED = frozenset({b"", b"identity"})
_BODYLESS = frozenset({b"204", b"304"})
_TOO_MANY_REQUESTS = b"429"

_NAME = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_VALUE = rb"[\t -~\x80-\xff]*+"
_HARMLESS = (
    rb"(?:(?:(?![CPTUcptu])" + _NAME + rb"|(?i:content-type)|(?!(?i:con|proxy-con|tr|up))" + _NAME + rb"):" + _VALUE
    + rb"|(?i:connection: keep-alive))\r\n"
)  # fmt: skip
_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9]{2}) " + _VALUE + rb"\r\n(?:" + _HARMLESS + rb")*+"
    rb"(?:(?i:content-length): ?([0-9]{1,5}+)\r\n(?:" + _HARMLESS + rb")*+)?+\r\n"
)  # fmt: skip


@lru_cache(PLAIN_HEADS_KEPT_MAX)
def read_plain_head(head: bytes) -> tuple[int, int] | None:
    """The status and the length of the body that an answer with this head has, if it is of the usual kind; else None.

    The usual kind lives on: it has one length, or a status without a body, and says nothing else that matters. If so
    many bytes follow, and no more, `AnswerReader` would say the same. Buyers repeat their heads, hence the cache.
    """
    usual = _PLAIN_HEAD.fullmatch(head)
    if usual is None:
        return None
    status, length = usual.groups()
    if status == _TOO_MANY_REQUESTS:
        return None  # it may say how long to wait
    if status in _BODYLESS:
        return int(status), 0
    return None if length is None or int(length) > BODY_BYTES_MAX else (int(status), int(length))


class AnswerReader:
    """Reads one answer, interim ones (1xx) before it skipped. It is used once, and fed no more when it is done.

    When `feed` or `end` says so, either `whole` is true, and `status` and `body` are the answer, or `refusal` says
    what is wrong with it. `keep_alive` is whether the connection may carry another request.
    """

    __slots__ = (
        "_chunks",
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
        "retry_after",
        "status",
        "whole",
    )

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.whole = False
        self.keep_alive = False
        self.refusal: Refusal | None = None
        self.retry_after = b""
        self._chunks: list[bytes] = []
        self._length = 0
        self._headers = 0
        self._head_bytes = 0
        self._wire_bytes = 0
        self._in_head = True
        self._framed = False
        self._parser = HttpResponseParser(self)

    def feed(self, data: bytes) -> bool:
        """Takes a packet; true when the answer is whole or refused, and nothing more is to be fed."""
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
            case b"retry-after":
                self.retry_after = value[:RETRY_AFTER_BYTES_MAX]
            case b"content-encoding":
                if value.strip().lower() not in _UNENCODED:
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
