"""Requests that ask for another protocol, such as WebSocket or HTTP/2: they are served in this one all the same."""

from httptools import HttpParserError, HttpParserUpgrade

from exchange.api.protocol import DoorProtocol, NotHttpError

_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class _WithoutUpgrades(DoorProtocol):
    """The parser holds that nothing of a request with an `Upgrade` follows its head.

    It would take the body for the next request: one that no balancer has seen. So where there is a body, it is given
    the head once more without that header, and then the body.
    """

    _again: bytes | None = None
    """The head that is to be parsed once more."""
    _began_s: float | None = None
    """When the request began of which that is the head."""

    def parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            while (rest := self._up_to_upgrade(data)) is not None:
                again, self._again = self._again, None
                data = rest if again is None else again + rest
        except HttpParserError:
            self.send_400_response("")

    def _up_to_upgrade(self, data: bytes) -> bytes | None:
        """Has the parser go on; what comes after a head with an `Upgrade`, at which it stops."""
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as stop:
            return data[stop.args[0] :]
        return None

    def on_message_begin(self) -> None:
        if self._began_s is None:
            super().on_message_begin()
        else:  # the same one: its time runs on
            self.url, self.headers, self.expect_100_continue, self._began_s = b"", [], False, None

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade() and any(
            name in _BODY_HEADERS and value != b"0" for name, value in self.headers
        ):
            self._again, self._began_s = self._plain_head(), self._arrived_s
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._again is None:
            super().on_message_complete()

    def _plain_head(self) -> bytes:
        """The head that was just parsed, without its `Upgrade`. Raises NotHttpError for one that says it otherwise."""
        kept = [(name, value) for name, value in self.headers if name != b"upgrade"]
        if len(kept) == len(self.headers) or any(b"\r" in value or b"\n" in value for _, value in kept):
            raise NotHttpError
        first = b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        return b"\r\n".join([first, *(b"%b: %b" % header for header in kept), b"", b""])


def without_upgrades(protocol: type[DoorProtocol]) -> type[DoorProtocol]:
    """The protocol, for which a request with an `Upgrade` is one like others."""
    return type("WithoutUpgrades", (_WithoutUpgrades, protocol), {})
