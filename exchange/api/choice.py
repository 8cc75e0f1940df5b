"""Which way of writing a market a client would rather read (RFC 9110, 12.5.1)."""

from collections.abc import Iterable, Iterator

from exchange.api.body import JSON_TYPE

YAML_TYPE = "application/yaml"


def prefers_yaml(accept: Iterable[str]) -> bool:
    """Whether the Accept headers of a request want YAML more than JSON; where both are as welcome, JSON it is."""
    ranges = [item for header in accept for item in _ranges(header)]
    return _quality(ranges, YAML_TYPE) > _quality(ranges, JSON_TYPE)


def _quality(ranges: Iterable[tuple[str, float]], media_type: str) -> float:
    """How welcome a type is: what is said of it most specifically."""
    said = dict(ranges)
    candidates = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    return next((said[name] for name in candidates if name in said), 0.0)


def _ranges(header: str) -> Iterator[tuple[str, float]]:
    for item in header.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weights = [part[2:] for part in parameters if part.startswith("q=")]
        yield name, _weight(weights[0]) if weights else 1.0


def _weight(text: str) -> float:
    """A weight from 0 to 1; one that is none counts for nothing."""
    try:
        found = float(text)
    except ValueError:
        return 0.0
    return found if 0.0 <= found <= 1.0 else 0.0
