"""Texts by key, nested: what a market is written down as, and how its values are spelled."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exchange.values.vertical import Single

_PLAIN = re.compile(r"[\w+@$%&/.-][\w +@$%&/.-]*")
"""Text that reads well without quotes."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value as text. `hidden` is what the text does not show; two secrets differ although both read `***`."""

    text: str
    hidden: str = field(default="", repr=False)


Tree = Mapping[str, "Leaf | Tree"]


def flow(node: "Leaf | Tree") -> str:
    """A node on one line, as in YAML's flow style."""
    if isinstance(node, Leaf):
        return node.text
    return "{" + ", ".join(f"{key}: {flow(child)}" for key, child in node.items()) + "}"


def tidy(tree: "Mapping[str, Leaf | Tree | None]") -> Tree:
    return {key: node for key, node in tree.items() if node is not None}


def named(values: Sequence[str]) -> Leaf | None:
    """A list that is not there where it is empty."""
    return listed(values) if values else None


def listed(values: Iterable[Single]) -> Leaf:
    return Leaf("[" + ", ".join(map(written, values)) + "]")


def shown(value: Single | None) -> Leaf | None:
    return None if value is None else Leaf(written(value))


def written(value: Single) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or _PLAIN.fullmatch(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def in_order(values: Iterable[Single]) -> list[Single]:
    """Numbers by size, text by the alphabet."""
    return sorted(values, key=lambda value: (0, value) if isinstance(value, str) else (int(value), ""))
