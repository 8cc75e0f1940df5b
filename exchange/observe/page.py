"""A page of figures on loopback, from a thread of its own, for a process that has no door."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from exchange.observe.registry import CONTENT_TYPE


def show(port: int, text: Callable[[], bytes]) -> Callable[[], None]:
    """Answers every GET on 127.0.0.1 with a text; returns what ends that. Raises OSError where it cannot listen."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the standard library's name
            content = text()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *_: object) -> None:  # noqa: A002  # the standard library's name
            """Scrapes are not worth a line."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Page)
    thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
