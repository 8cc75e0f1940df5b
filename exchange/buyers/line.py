"""A line: an order's prepared way out, with everything of its requests that is the same from ping to ping."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from exchange.buyers.dialling import Origin
from exchange.buyers.measures import Load
from exchange.buyers.pool import Pool
from exchange.values.bid import Refusal
from exchange.values.reason import Reason

DEFAULT_HEADERS: Mapping[str, str] = {
    "User-Agent": "lead-exchange",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
}
UNUSABLE = Refusal(Reason.INTERNAL_ERROR, "an address or header that cannot be sent")

_VISIBLE = re.compile(r"[\x21-\x7e]+", re.ASCII)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x20-\x7e\x80-\xff\t]*")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart: where to connect to, and what the request says."""

    origin: Origin
    authority: str
    path: str


class Line:
    """An order's pool, and the head of its requests up to the value of the header that tells the buyer his time.

    `pool` is None where the order cannot be asked, as where a header cannot be put on the wire: then calls fail with
    `refusal`. `load` is there where calls are counted.
    """

    __slots__ = ("__weakref__", "head", "load", "order", "pool", "refusal")

    def __init__(
        self, order: str, pool: Pool | None, head: bytes, refusal: Refusal = UNUSABLE, load: Load | None = None
    ) -> None:
        self.order = order
        self.load = load
        self.pool = pool
        self.head = head
        self.refusal = refusal
        if pool is not None:
            pool.lines.add(self)


def read_target(url: str) -> Target:
    """Takes a URL apart. Raises ValueError where it is not an http or https address that can be sent as it stands."""
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in {"http", "https"} or not host or not _VISIBLE.fullmatch(url):
        raise ValueError(url)
    secure = parts.scheme == "https"
    shown = f"[{host}]" if ":" in host else host
    authority = shown if parts.port is None else f"{shown}:{parts.port}"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(Origin(secure, host, parts.port or (443 if secure else 80)), authority, path)


def request_head(target: Target, headers: Mapping[str, str], timeout_header: str, method: str = "POST") -> bytes:
    """The head's bytes: the value of `timeout_header`, the length of the body and the body are what is missing.

    Raises ValueError for a header that would break out of its line.
    """
    lines = header_lines(method, target.path, target.authority, headers)
    return "\r\n".join([*lines, f"{timeout_header}: "]).encode("latin-1")


def header_lines(method: str, path: str, authority: str, headers: Mapping[str, str]) -> list[str]:
    """A request's first line and headers, those that every request has included.

    Raises ValueError for a header that would break out of its line.
    """
    given = {name.lower() for name in headers}
    lines = [f"{method} {path} HTTP/1.1", f"Host: {authority}"]
    lines += [f"{name}: {value}" for name, value in DEFAULT_HEADERS.items() if name.lower() not in given]
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError(name)
        lines.append(f"{name}: {value}")
    return lines
