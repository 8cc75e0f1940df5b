"""The dialects of well-known systems: mappings that come with the exchange, of what all their buyers share."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from exchange.marketfile.source import parse

NATIVE, MAPPED = "native", "mapped"
PRESETS = ("plain", "leadexec", "boberdoo", "boberdoo-json", "leadspedia", "leadprosper", "px", "linktrust")
"""The names of the files beside this one."""

_MESSAGES = ("ping", "post", "status")
_JOINED = ("fields", "query", "headers", "reply")


def with_preset(endpoint: Any) -> Any:
    """An endpoint as written, its mapping laid over that of its dialect; anything else as it is."""
    name = endpoint.get("dialect") if isinstance(endpoint, dict) else None
    if name not in PRESETS:
        return endpoint
    own = endpoint.get("mapping", {})
    if not isinstance(own, dict):
        return endpoint
    usual = preset(str(name))
    if endpoint.get("ping_url") is None and "ping" not in own:
        usual = {key: value for key, value in usual.items() if key != "ping"}
    return {**endpoint, "mapping": _laid_over(usual, own)}


@cache
def preset(name: str) -> Mapping[str, Any]:
    """The mapping of a preset, as it is written."""
    return parse((Path(__file__).parent / f"{name}.yaml").read_text())


def _laid_over(usual: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    found = {**usual, **own}
    for message in _MESSAGES:
        before, after = usual.get(message), own.get(message)
        if isinstance(before, dict) and isinstance(after, dict):
            found[message] = {**before, **after, **_joined(before, after)}
    return found


def _joined(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a message that are joined key by key; the usual ones come first."""
    return {
        key: {**before[key], **after[key]}
        for key in _JOINED
        if isinstance(before.get(key), dict) and isinstance(after.get(key), dict)
    }
