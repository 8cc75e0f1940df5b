"""Secrets that are written out in a document are covered before it is shown, and found again when it comes back."""

from collections.abc import Callable, Mapping
from typing import Any

from exchange.errors import FileProblem, MarketFileError
from exchange.marketfile.entries import below
from exchange.marketfile.scalars import as_text
from exchange.marketfile.secrets import masked
from exchange.marketfile.source import Document

COVER = "***"

_PLAIN = frozenset({"user", "name", "header", "over", "separator", "digits", "prefix", "timestamp_header"}) | {
    "token_url",
    "client_id",
    "scope",
    "parameters",
    "client_auth",
}
"""Keys under `auth` that hold no secret. Whatever else is text there is one."""

_OPEN = "parameters"
"""Of these even a mapping holds none."""

_NO_AUTH = "none"
_SECRET = "secret"  # noqa: S105  # the key of a mapping's secrets

_SIGNED = frozenset({"secret", "secrets"})
_LOGIN = frozenset({"password", "key"})
_MEANS = {"webhook": _SIGNED, "sftp": _LOGIN, "ftps": _LOGIN}

_Change = Callable[[str, tuple[str, ...], str], str]
"""What becomes of a secret: its path as a person writes it, the keys that lead to it, and its text."""


def mask(document: Document) -> Document:
    """A copy in which secrets read `***`, `${env:NAME}` references as they are."""
    return _changed(document, lambda _path, _keys, secret: masked(secret))


def unmask(document: Document, base: Mapping[str, Any]) -> Document:
    """A copy in which what reads `***` is what `base` has in the same place.

    Raises MarketFileError where `base` has nothing there that would read so.
    """
    problems: list[FileProblem] = []

    def uncover(path: str, keys: tuple[str, ...], secret: str) -> str:
        if COVER not in secret:
            return secret
        known = as_text(_at(base, keys))
        if known == secret:
            return secret
        if known is None or masked(known) != secret:
            problems.append(FileProblem(path, f"{COVER} stands for the secret that is there, and none is"))
            return secret
        return known

    found = _changed(document, uncover)
    if problems:
        raise MarketFileError(problems)
    return found


def is_masked(document: Document) -> bool:
    """Whether any secret of a document reads `***`."""
    found = False

    def look(_path: str, _keys: tuple[str, ...], secret: str) -> str:
        nonlocal found
        found = found or COVER in secret
        return secret

    _changed(document, look)
    return found


def _changed(document: Document, change: _Change) -> Document:
    """A copy with every secret changed; what has none is shared with the original."""
    found = dict(document)
    for section, covered in (("sellers", _seller), ("buyers", _buyer), ("orders", _order)):
        entries = document.get(section)
        if isinstance(entries, dict):
            found[section] = {key: covered(raw, (section, str(key)), change) for key, raw in entries.items()}
    return found


def _seller(raw: Any, keys: tuple[str, ...], change: _Change) -> Any:
    return _with(raw, keys, change, webhook=_SIGNED)


def _buyer(raw: Any, keys: tuple[str, ...], change: _Change) -> Any:
    if not isinstance(raw, dict):
        return raw
    found = dict(_with(raw, keys, change, notices=_SIGNED))
    if isinstance(raw.get("endpoint"), dict):
        found["endpoint"] = _endpoint(raw["endpoint"], (*keys, "endpoint"), change)
    if isinstance(raw.get("endpoints"), dict):
        found["endpoints"] = {
            name: _endpoint(item, (*keys, "endpoints", str(name)), change) for name, item in raw["endpoints"].items()
        }
    return found


def _order(raw: Any, keys: tuple[str, ...], change: _Change) -> Any:
    if not isinstance(raw, dict) or not isinstance(raw.get("deliver"), dict):
        return raw
    deliveries = {name: _delivery(item, (*keys, "deliver", str(name)), change) for name, item in raw["deliver"].items()}
    return {**raw, "deliver": deliveries}


def _delivery(raw: Any, keys: tuple[str, ...], change: _Change) -> Any:
    raw = _with(raw, keys, change, **_MEANS)
    if not isinstance(raw, dict):
        return raw
    found = dict(raw)
    for part in {"webhook", "http"} & set(raw):
        if isinstance(raw[part], dict):
            found[part] = _call(raw[part], (*keys, part), change, is_mapping=part == "http")
    return found


def _call(raw: Document, keys: tuple[str, ...], change: _Change, *, is_mapping: bool) -> Document:
    """A request with its `auth` covered, and what stands under `secret` in the mapping that it may be."""
    auth = raw.get("auth", _NO_AUTH)
    known_by = auth if auth == _NO_AUTH else _auth(auth, (*keys, "auth"), change)
    rest = {key: item for key, item in raw.items() if key != "auth"}
    found = (_mapping(rest, keys, change) if is_mapping else rest) | {"auth": known_by}
    return {key: found[key] for key in raw}


def _endpoint(raw: Any, keys: tuple[str, ...], change: _Change) -> Any:
    raw = _with(raw, keys, change, signing=_SIGNED, **_MEANS)
    if not isinstance(raw, dict):
        return raw
    found = {}
    if "auth" in raw and raw["auth"] != _NO_AUTH:
        found["auth"] = _auth(raw["auth"], (*keys, "auth"), change)
    if "mapping" in raw:
        found["mapping"] = _mapping(raw["mapping"], (*keys, "mapping"), change)
    return {**raw, **found}


def _mapping(value: Any, keys: tuple[str, ...], change: _Change) -> Any:
    """What stands under `secret` is one; everything else a mapping says is not."""
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        secret = as_text(item) if key == _SECRET else None
        inner = (*keys, str(key))
        found[key] = _mapping(item, inner, change) if secret is None else change(_path(inner), inner, secret)
    return found


def _with(raw: Any, keys: tuple[str, ...], change: _Change, **secret: frozenset[str]) -> Any:
    """A copy of an entry in which these keys of these parts of it are secrets; the entry itself, where it has none."""
    if not isinstance(raw, dict) or not any(isinstance(raw.get(part), dict) for part in secret):
        return raw
    found = dict(raw)
    for part, names in secret.items():
        if isinstance(raw.get(part), dict):
            found[part] = {
                name: _auth(value, (*keys, part, str(name)), change) if name in names else value
                for name, value in raw[part].items()
            }
    return found


def _auth(value: Any, keys: tuple[str, ...], change: _Change) -> Any:
    if isinstance(value, dict):
        return {
            key: item if _is_plain(str(key), item) else _auth(item, (*keys, str(key)), change)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_auth(item, (*keys, str(number)), change) for number, item in enumerate(value)]
    secret = as_text(value)
    return value if secret is None else change(_path(keys), keys, secret)


def _is_plain(key: str, item: Any) -> bool:
    return key in _PLAIN and (key == _OPEN or not isinstance(item, dict))


def _path(keys: tuple[str, ...]) -> str:
    path = keys[0]
    for key in keys[1:]:
        path = below(path, key)
    return path


def _at(document: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if isinstance(document, list):
            document = document[int(key)] if key.isdecimal() and int(key) < len(document) else None
        else:
            document = document.get(key) if isinstance(document, dict) else None
    return document
