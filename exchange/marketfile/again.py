"""Reads one market after another: an order that is written as it was, and all that it refers to, is not read again."""

from hashlib import blake2b
from typing import Any

import orjson

from exchange.marketfile.index import Index
from exchange.marketfile.orders import read_order
from exchange.marketfile.problems import Problems
from exchange.marketfile.reader import read
from exchange.marketfile.references import name_in
from exchange.values.market import Market, Order

_DIGEST_BYTES = 16


class Rereader:
    """Remembers the orders of the market that it read last, and how they were written."""

    def __init__(self) -> None:
        self._known: dict[bytes, Order] = {}

    def read(self, document: Any) -> Market:
        """The market that a document describes, which came from JSON. Raises MarketFileError where it is wrong."""
        reading = _Reading(self._known, document)
        market = read(document, reading.order)
        self._known = reading.found
        return market


class _Reading:
    """One document's orders by what they are written as: they, their buyers, and what all of them refer to."""

    def __init__(self, known: dict[bytes, Order], document: Any) -> None:
        self.found: dict[bytes, Order] = {}
        self._known = known
        self._buyers: dict[str | None, bytes] = {}
        self._common = _common(document) if isinstance(document, dict) else b""

    def order(self, key: str, raw: object, index: Index, problems: Problems) -> Order | None:
        """As `read_order`."""
        written = _digest(key, raw, self._buyer(name_in(raw, "buyer"), index))
        order = self._known.get(written) or read_order(key, raw, index, problems)
        if order is not None:
            self.found[written] = order
        return order

    def _buyer(self, key: str | None, index: Index) -> bytes:
        found = self._buyers.get(key)
        if found is None:
            found = self._buyers[key] = _digest(key or "", index.buyers.get(key or ""), self._common)
        return found


def _common(document: dict[str, Any]) -> bytes:
    """What any order may refer to; of the sellers only who they are."""
    sellers = document.get("sellers")
    names = list(sellers) if isinstance(sellers, dict) else None
    return _digest("", [document.get("verticals"), document.get("campaigns"), names], b"")


def _digest(key: str, raw: object, before: bytes) -> bytes:
    return blake2b(b"\0".join((key.encode(), before, orjson.dumps(raw))), digest_size=_DIGEST_BYTES).digest()
