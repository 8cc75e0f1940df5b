"""Cases as files: a folder of an endpoint's recorded cases, read one by one, and a new one written down.

`endpoint.yaml` beside the cases, or in the folder above, is the endpoint as a market file writes it, with the values
of its secrets; a case may change keys of both, or stand alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exchange.buyers.dialects.wire import Unsendable
from exchange.dialect_cases import Case, CaseError, heard, meaning, read_case, request_of
from exchange.errors import MarketFileError
from exchange.marketfile.masking import mask
from exchange.marketfile.reader import read
from exchange.marketfile.secrets import ENDPOINT_NAME, REFERENCE
from exchange.marketfile.source import Document, loads
from exchange.marketfile.writing import as_yaml
from exchange.values.market import Endpoint
from exchange.wires import Wire, Wires

CASES_MAX = 10_000
ENDPOINT_FILE = "endpoint.yaml"
BUYER = "north"

_FIRST_SECRET = 1001
"""Secrets that a recording makes up are numbers from here on, which every wire can carry."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A case with the endpoint that it is of, and how that is spoken to."""

    case: Case
    endpoint: Endpoint
    wire: Wire


def case_files(folder: Path) -> list[Path]:
    """The cases in a folder and those below it, by name; the first `CASES_MAX` and one. A file is one by itself."""
    if folder.is_file():
        return [folder]
    found = sorted(path for path in folder.rglob("*.yaml") if path.name != ENDPOINT_FILE)
    return found[: CASES_MAX + 1]


def load_case(path: Path) -> Loaded:
    """The case in a file. Raises CaseError, which says what is wrong with it or with its endpoint."""
    own = _document(path)
    beside = [found for folder in path.absolute().parents[:2] if (found := folder / ENDPOINT_FILE).is_file()]
    return loaded(own, _document(beside[0]) if beside else {})


def loaded(own: Mapping[str, Any], usual: Mapping[str, Any]) -> Loaded:
    """A case as written, over what is usual for its endpoint. Raises CaseError."""
    case = read_case({key: value for key, value in own.items() if key not in {"endpoint", "secrets"}})
    written = _mapping(usual, "endpoint") | _mapping(own, "endpoint")
    if not written:
        raise CaseError(f"no endpoint: neither the case nor an {ENDPOINT_FILE} beside or above it has one")
    secrets = {name: str(value) for name, value in (_mapping(usual, "secrets") | _mapping(own, "secrets")).items()}
    endpoint = _endpoint(written)
    if endpoint.means is not None:
        raise CaseError("the endpoint has no post_url, so there is no wire to check")
    if case.message == "ping" and endpoint.ping_url is None:
        raise CaseError("a ping, and the endpoint has no ping_url")
    if case.message == "status" and endpoint.status_url is None:
        raise CaseError("a status query, and the endpoint has no status_url")
    wire = Wires(secrets).of(BUYER, endpoint)
    if wire is None:
        raise CaseError("the case has no value for a secret of its endpoint: give it under secrets")
    return Loaded(case, endpoint, wire)


def recording(why: str, message: str, given: Document, raw: Document, status: int, body: bytes) -> str:
    """The text of a case that says what was sent and answered; secrets are made up anew.

    `raw` is the endpoint as its market writes it; `body` has its secrets covered. Raises CaseError.
    """
    endpoint = _covered(raw)
    names = dict.fromkeys(REFERENCE.findall(as_yaml(endpoint)))
    secrets: Document = {name: str(number) for number, name in enumerate(names, _FIRST_SECRET)}
    head: Document = {"why": why, "endpoint": endpoint} | ({"secrets": secrets} if secrets else {})
    answer: Document = ({"status": status} if status != 200 else {}) | _content(body)
    draft = loaded(head | {message: given, "answers": [answer | {"means": "unknown"}]}, {})
    found = heard(draft.case, draft.wire, status, body)
    return as_yaml(head | {message: given, "sends": _sends(draft), "answers": [answer | {"means": meaning(found)}]})


def _sends(draft: Loaded) -> Document:
    try:
        written = request_of(draft.case, draft.endpoint, draft.wire)
    except Unsendable as error:
        return {"refused": str(error)}
    headers = {"headers": dict(written.headers)} if written.headers else {}
    return {"method": written.method, "url": written.url, **headers, **_content(written.body)}


def _content(body: bytes) -> Document:
    """A body by its characters, or by its bytes where a file cannot hold them."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"body_hex": body.hex()}
    return {"body_hex": body.hex()} if "\0" in text or "\ufeff" in text else {"body": text}


def _covered(raw: Document) -> Document:
    """An endpoint without the secrets that are written out in it; what signs posts besides is left out."""
    kept = {key: value for key, value in raw.items() if key != "signing"}
    found: Document = mask({"buyers": {BUYER: {"endpoint": kept}}})["buyers"][BUYER]["endpoint"]
    return found


def _document(path: Path) -> Document:
    try:
        return loads(path.read_bytes())
    except OSError as error:
        raise CaseError(f"{path.name} cannot be read: {error.strerror}") from error
    except MarketFileError as error:
        raise CaseError(f"{path.name}: {error.problems[0]}") from error


def _mapping(document: Mapping[str, Any], key: str) -> Document:
    found = document.get(key) or {}
    if not isinstance(found, dict):
        raise CaseError(f"{key} is no mapping")
    return found


def _endpoint(written: Document) -> Endpoint:
    """An endpoint, read as in a market that has nothing else."""
    document = {"version": 1, "currency": "USD", "buyers": {BUYER: {"endpoint": written}}}
    try:
        return read(document).buyers[BUYER].endpoints[ENDPOINT_NAME]
    except MarketFileError as error:
        raise CaseError(str(error.problems[0]).removeprefix(f"buyers.{BUYER}.")) from error
