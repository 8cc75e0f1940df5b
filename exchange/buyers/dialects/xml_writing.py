"""XML as it is sent to buyers: a tree written down so that every parser reads the values that were meant."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exchange.buyers.dialects.wire import Unsendable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*(?::[A-Za-z_][A-Za-z0-9_.-]*)?", re.ASCII)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry in any spelling (its section 2.2)."""

_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}
)


@dataclass(slots=True)
class Tag:
    """An element to be written: attributes, then its text, then its children."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: "list[Tag]" = field(default_factory=list)


def is_xml_name(text: str) -> bool:
    """Whether an element or attribute may have this name; a prefix must be declared by whoever uses it."""
    return _NAME.fullmatch(text) is not None


def write_xml(root: Tag, charset: str) -> bytes:
    """The document. Raises Unsendable for a character that XML cannot carry; others are sent in any charset."""
    parts = [f'<?xml version="1.0" encoding="{charset}"?>']
    _write(root, parts)
    return "".join(parts).encode(charset, "xmlcharrefreplace")


def _write(tag: Tag, parts: list[str]) -> None:
    parts.append(f"<{tag.name}{_attributes(tag.attributes)}")
    if not tag.text and not tag.children:
        parts.append("/>")
        return
    parts.append(f">{_checked(tag.text, tag.name).translate(_TEXT)}")
    for child in tag.children:
        _write(child, parts)
    parts.append(f"</{tag.name}>")


def _attributes(attributes: Mapping[str, str]) -> str:
    pairs: Sequence[tuple[str, str]] = list(attributes.items())
    return "".join(f' {name}="{_checked(text, name).translate(_ATTRIBUTE)}"' for name, text in pairs)


def _checked(text: str, name: str) -> str:
    if _FORBIDDEN.search(text):
        raise Unsendable(f"{name}: a character that XML cannot carry")
    return text
