"""A page of figures from a thread of its own, for a process without a door, and whether its event loop still turns."""

import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from exchange.observe.readers import Readers
from exchange.observe.registry import CONTENT_TYPE

RECEIVE_TIMEOUT_S = 5.0

Answer = tuple[int, str, bytes]
"""Status, type and content."""


def show(
    host: str, port: int, *, text: Callable[[], bytes], is_alive: Callable[[], bool], readers: Readers
) -> Callable[[], None]:
    """Answers `/metrics` and `/livez`; returns what ends that. Raises OSError where it cannot listen."""

    class Page(BaseHTTPRequestHandler):
        timeout = RECEIVE_TIMEOUT_S

        def do_GET(self) -> None:  # the standard library's name
            status, content_type, content = self._answer()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _answer(self) -> Answer:
            path = self.path.partition("?")[0]
            if path == "/livez":
                return (200, "text/plain", b"alive\n") if is_alive() else (503, "text/plain", b"hanging\n")
            if path != "/metrics":
                return 404, "text/plain", b"There are /metrics and /livez.\n"
            if not readers.admit(self.client_address[0], self.headers.get("Authorization", "")):
                return 403, "text/plain", b"Metrics are for private peers, or the bearer of the metrics token.\n"
            return 200, CONTENT_TYPE, text()

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002  # the standard library's name
            """Scrapes are not worth a line."""

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    server = Server((host, port), Page)
    thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
