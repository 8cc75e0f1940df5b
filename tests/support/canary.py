"""A person who must not be seen: his contact data in every spelling in which it could slip out."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

CONTACT = {
    "first_name": "Zanzibella Quux",
    "phone": "(312) 555-0177",
    "email": "Zanzi.Canary@Example.COM",
}
SPELLINGS = (
    *CONTACT.values(),
    "+13125550177",
    "13125550177",
    "3125550177",
    "312-555-0177",
    "312.555.0177",
    "5550177",
    "zanzi.canary",
    "zanzibella",
)
_HASHES = (hashlib.md5, hashlib.sha1, hashlib.sha256)


@dataclass(frozen=True)
class Sighting:
    """Where the person was seen, and in what form."""

    where: str
    form: str


def _texts() -> Iterator[str]:
    for spelling in SPELLINGS:
        yield from {spelling, spelling.lower(), spelling.upper(), spelling.replace(" ", "")}


def _forms() -> Iterator[tuple[str, bytes]]:
    """What to look for, by what it is. Plain texts and hexadecimal are looked for in any case."""
    for text in _texts():
        yield f"{text} as it is", text.lower().encode()
        yield f"{text} in hexadecimal", text.encode().hex().encode()
        yield f"{text} quoted", quote(text, safe="").lower().encode()
        yield f"{text} quoted for a form", quote_plus(text).lower().encode()
        for algorithm in _HASHES:
            yield f"{algorithm().name} of {text}", algorithm(text.encode()).hexdigest().encode()


def _exact_forms() -> Iterator[tuple[str, bytes]]:
    """What keeps its case: base64 at each of its three alignments, and digests as bytes."""
    for text in _texts():
        for shift in range(3):
            encoded = base64.b64encode(b"x" * shift + text.encode()).rstrip(b"=")
            core = encoded[(4 if shift else 0) : -1]  # what does not depend on the neighbours
            if len(core) >= 8:
                yield f"base64 of {text}", core
                yield f"base64 of {text}", core.replace(b"+", b"-").replace(b"/", b"_")
        for algorithm in _HASHES:
            yield f"{algorithm().name} of {text} as bytes", algorithm(text.encode()).digest()


_ANY_CASE = {form: name for name, form in _forms()}
_EXACT = {form: name for name, form in _exact_forms()}


def sightings(places: Iterable[tuple[str, bytes | str]]) -> list[Sighting]:
    """Everything of the person that can be seen in these places, each given with its name."""
    found = []
    for where, content in places:
        data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        lowered = data.lower()
        found += [Sighting(where, name) for form, name in _ANY_CASE.items() if form in lowered]
        found += [Sighting(where, name) for form, name in _EXACT.items() if form in data]
    return found
