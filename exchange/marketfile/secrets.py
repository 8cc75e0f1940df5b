"""Secrets of a market: written as `${env:NAME}`, kept as written, and resolved by whoever holds the environment."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from exchange.values.market import AuthKind, Buyer, Endpoint, Market

ENDPOINT_NAME = "default"
"""What a buyer's only endpoint is called where the file gives it no name (`endpoint:` instead of `endpoints:`)."""

REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]{0,127})\}", re.ASCII)
_SECRET_KEYS: Mapping[AuthKind, str] = MappingProxyType(
    {
        AuthKind.NONE: "none",
        AuthKind.BEARER: "bearer",
        AuthKind.BASIC: "basic.password",
        AuthKind.HEADER: "header.value",
        AuthKind.QUERY: "query.value",
        AuthKind.HMAC: "hmac.secret",
    }
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def references(market: Market) -> tuple[tuple[str, str], ...]:
    """Where in the market a secret is kept in the environment: (path, name of the variable), in file order."""
    return tuple(
        (path, match[1])
        for buyer in market.buyers.values()
        for endpoint in buyer.endpoints.values()
        for path, template in _templates(buyer, endpoint)
        for match in REFERENCE.finditer(template)
    )


def resolve(template: str, environment: Mapping[str, str]) -> str | None:
    """The secret that a template stands for, or None where it cannot be had.

    It cannot where a variable is missing or empty, or holds a line break or another control character, which no
    header may carry.
    """
    values = {name: environment.get(name, "") for name in REFERENCE.findall(template)}
    if any(not value or _CONTROL.search(value) for value in values.values()):
        return None
    return REFERENCE.sub(lambda match: values[match[1]], template)


def is_malformed(template: str) -> bool:
    """Whether something in the template looks like a reference and is none."""
    return "${" in REFERENCE.sub(" ", template)


def literal(template: str) -> str:
    """What of a template is written out, the references left out."""
    return REFERENCE.sub("", template)


def masked(template: str) -> str:
    """The template as it may be shown: references as they are, everything else as `***`."""
    return "".join(_masked_parts(template))


def _masked_parts(template: str) -> Iterator[str]:
    end = 0
    for match in REFERENCE.finditer(template):
        if match.start() > end:
            yield "***"
        yield match[0]
        end = match.end()
    if end < len(template):
        yield "***"


def has_unnamed_endpoint(buyer: Buyer) -> bool:
    """Whether a buyer's endpoints read as `endpoint:` in the file."""
    return tuple(buyer.endpoints) == (ENDPOINT_NAME,)


def _templates(buyer: Buyer, endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """Where an endpoint's secrets stand in the file, and how they are written."""
    where = "endpoint" if has_unnamed_endpoint(buyer) else f"endpoints.{endpoint.name}"
    path = f"buyers.{buyer.key}.{where}"
    yield f"{path}.auth.{_SECRET_KEYS[endpoint.auth.kind]}", endpoint.auth.secret
    for template in dict.fromkeys(endpoint.mapping.secrets() if endpoint.mapping else ()):
        yield f"{path}.mapping", template
