"""Endpoints with mappings, read as a market file's are, and their wires."""

from collections.abc import Mapping
from typing import Any

from exchange.marketfile.reader import read
from exchange.values.market import Endpoint
from exchange.wires import Wire, Wires
from support.market import market


def endpoint_of(written: Mapping[str, Any]) -> Endpoint:
    """An endpoint as it is written."""
    document = market({"north": "http://127.0.0.1:9"})
    document["buyers"]["north"]["endpoint"] = written
    if "ping_url" not in written:
        document["orders"]["north"]["price"] = "12.00"
    return read(document).buyers["north"].endpoints["default"]


def wire_of(endpoint: Endpoint, environment: Mapping[str, str] | None = None) -> Wire:
    """Its wire; every secret must be there."""
    found = Wires(environment or {}).of("north", endpoint)
    assert found is not None
    return found
