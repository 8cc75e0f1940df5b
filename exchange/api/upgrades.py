"""Requests that ask for another protocol, such as WebSocket or HTTP/2: they are answered in this one, or not at all."""

from typing import Any

from exchange.api.protocol import DoorProtocol

_BODY_HEADERS = frozenset({b"content-length", b"transfer-encoding"})


class BodyStaysBodyError(Exception):
    """Ends the parsing of a request; uvicorn takes it for what is no HTTP, and the connection is closed."""


def without_upgrades(protocol: type[DoorProtocol]) -> type[DoorProtocol]:
    """The protocol, for which a request with an `Upgrade` is a usual one if it has no body, and else malformed.

    The parser holds that nothing of such a request follows its head, and would take the body for the next request: one
    that no balancer has seen.
    """
    complete = protocol.on_headers_complete

    def on_headers_complete(self: Any) -> None:
        if self.parser.should_upgrade() and any(
            name in _BODY_HEADERS and value != b"0" for name, value in self.headers
        ):
            raise BodyStaysBodyError
        complete(self)

    return type("WithoutUpgrades", (protocol,), {"on_headers_complete": on_headers_complete})
