"""The mapped dialects: an endpoint's own wire, as its mapping in the market file says it."""

from collections.abc import Mapping
from types import MappingProxyType

from exchange.buyers.dialects.bodies import Writer
from exchange.buyers.dialects.json_writing import Runs
from exchange.buyers.dialects.native import NATIVE
from exchange.buyers.dialects.replies import Reader
from exchange.buyers.dialects.wire import NO_HEADERS, PLAIN_METHOD, Ping, Post, Read, Request, Unsendable
from exchange.values.bid import Delivery
from exchange.values.mapping import EndpointMapping
from exchange.values.market import Sale

NO_READERS: Mapping[Sale, Read] = MappingProxyType({})


class Mapped:
    """A mapping, compiled. Where it says nothing of a status query, that is as in the native dialect."""

    def __init__(self, mapping: EndpointMapping, secrets: Mapping[str, str], runs: Runs | None = None) -> None:
        """`secrets` are the values of the templates that the mapping sends; `runs` are shared with other mappings."""
        runs = runs or Runs()
        self._ping = None if mapping.ping is None else Writer(mapping.ping, secrets, runs)
        self.ping = _no_ping if self._ping is None else self._ping.write
        self._readers = NO_READERS if mapping.ping is None else Reader(mapping.ping.reply).bid_readers
        self._post, self._post_reader = Writer(mapping.post, secrets, runs), Reader(mapping.post.reply)
        self.ping_method = PLAIN_METHOD if mapping.ping is None else mapping.ping.method
        self._status = None if mapping.status is None else Writer(mapping.status, secrets, runs)
        self._status_reader = None if mapping.status is None else Reader(mapping.status.reply)
        self.post_method = mapping.post.method
        self.status_method = NATIVE.status_method if mapping.status is None else mapping.status.method

    def standing_headers(self, order: str) -> Mapping[str, str]:  # noqa: ARG002  # the same for all orders
        return NO_HEADERS if self._ping is None else self._ping.standing

    def bid_reader(self, *, sale: Sale, currency: str) -> Read:  # noqa: ARG002  # prices come in the market's
        return self._readers[sale]

    def post(self, post: Post) -> Request:
        return _whole(self._post, post)

    def read_delivery(self, status: int, body: bytes, gross_micros: int) -> Delivery:
        return self._post_reader.read_delivery(status, body, gross_micros)

    def status(self, post: Post) -> Request:
        return NATIVE.status(post) if self._status is None else _whole(self._status, post)

    def read_status(self, status: int, body: bytes, gross_micros: int) -> Delivery:
        reader = self._status_reader
        if reader is None:
            return NATIVE.read_status(status, body, gross_micros)
        return reader.read_status(status, body, gross_micros)


def _whole(writer: Writer, post: Post) -> Request:
    request = writer.write(post)
    return request._replace(headers={**writer.standing, **request.headers})


def _no_ping(_: Ping) -> Request:
    raise Unsendable("the mapping has no ping")
