"""XML as buyers send it, read by expat into a small tree: nothing is declared, fetched or expanded, all is bounded.

Expat comes with Python; what makes it safe is that a document type, where entities would be declared, ends the
reading at once. Nothing else of XML can make a few bytes grow.
"""

from dataclasses import dataclass, field
from xml.parsers import expat

DEPTH_MAX = 32
NODES_MAX = 5_000
BLANKS = " \t\r\n"
"""What XML calls white space (its section 2.3), and no more."""


class UnreadableXmlError(ValueError):
    """The text is not one well-formed document without a document type, within the limits."""


@dataclass(slots=True)
class Element:
    """An element by its name without prefix. `text` is its own text, without blanks at its ends."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: "list[Element]" = field(default_factory=list)


def read_xml(text: str) -> Element:
    """The root of a document. What its declaration says of an encoding does not matter: it is text already."""
    reader = _Reader()
    try:
        return reader.read(text)
    except expat.ExpatError as error:
        raise UnreadableXmlError(f"line {error.lineno}: {expat.ErrorString(error.code)}") from error
    except UnicodeEncodeError as error:
        raise UnreadableXmlError("not text") from error


class _Reader:
    def __init__(self) -> None:
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._nodes = 0
        self._root: Element | None = None

    def read(self, text: str) -> Element:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.Parse(text.encode(), True)
        if self._root is None:
            raise UnreadableXmlError("no element")
        return self._root

    def _refuse(self, *_: object) -> None:
        raise UnreadableXmlError("a document type")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._nodes += 1 + len(attributes)
        if len(self._open) >= DEPTH_MAX or self._nodes > NODES_MAX:
            raise UnreadableXmlError("too deep or too many elements")
        element = Element(_bare(name), {_bare(key): value for key, value in attributes.items()})
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)
        self._texts.append([])

    def _end(self, _: str) -> None:
        self._open.pop().text = "".join(self._texts.pop()).strip(BLANKS)

    def _text(self, text: str) -> None:
        self._texts[-1].append(text)


def _bare(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2]
