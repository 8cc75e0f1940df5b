"""Secrets of a market: written as `${env:NAME}`, kept as written, and resolved by whoever holds the environment."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from exchange.rules.signing import key_of
from exchange.values.auth import AuthKind
from exchange.values.deliveries import Call, Files, LeadWebhook, Means, kind_of
from exchange.values.market import Buyer, Endpoint, Market

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
        AuthKind.OAUTH2: "oauth2.secret",
    }
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def references(market: Market) -> tuple[tuple[str, str], ...]:
    """Where in the market a secret is kept in the environment: (path, name of the variable), in file order."""
    return tuple((path, match[1]) for path, secret in _secrets(market) for match in REFERENCE.finditer(secret))


def _secrets(market: Market) -> Iterator[tuple[str, str]]:
    """Every secret of a market as it is written, with its path."""
    for seller in market.sellers.values():
        if seller.webhook is not None:
            yield from _signing(f"sellers.{seller.key}.webhook", seller.webhook.secrets)
    for buyer in market.buyers.values():
        if buyer.notices is not None:
            yield from _signing(f"buyers.{buyer.key}.notices", buyer.notices.secrets)
        for endpoint in buyer.endpoints.values():
            yield from _templates(buyer, endpoint)
    for order in market.orders.values():
        for following in order.deliver:
            yield from _of_means(f"orders.{order.key}.deliver.{following.name}.{following.kind}", following.means)


def _of_means(path: str, means: Means | Call) -> Iterator[tuple[str, str]]:
    if isinstance(means, LeadWebhook):
        yield from _signing(path, means.secrets)
        yield f"{path}.auth.{_SECRET_KEYS[means.auth.kind]}", means.auth.secret
    elif isinstance(means, Files):
        login = {"password": means.password, "key": means.key}
        yield from ((f"{path}.{name}", secret) for name, secret in login.items() if secret is not None)
    elif isinstance(means, Call):
        yield f"{path}.auth.{_SECRET_KEYS[means.auth.kind]}", means.auth.secret
        yield from ((path, template) for template in dict.fromkeys(means.secrets()))


def _signing(path: str, secrets: Sequence[str]) -> Iterator[tuple[str, str]]:
    if len(secrets) == 1:
        yield f"{path}.secret", secrets[0]
    else:
        yield from ((f"{path}.secrets[{number}]", secret) for number, secret in enumerate(secrets))


def resolve(template: str, environment: Mapping[str, str], *, lines: bool = False) -> str | None:
    r"""The secret that a template stands for, or None where it cannot be had.

    It cannot where a variable is missing or empty, or holds a control character, which no header may carry; a line
    break is one, but in a secret of several `lines`, which may also be written `\n`.
    """
    values = {name: environment.get(name, "") for name in REFERENCE.findall(template)}
    if lines:
        values = {name: value.replace("\\n", "\n").replace("\r", "") for name, value in values.items()}
    if any(not value or _CONTROL.search(value.replace("\n", "") if lines else value) for value in values.values()):
        return None
    return REFERENCE.sub(lambda match: values[match[1]], template)


def signing_keys(secrets: Sequence[str], environment: Mapping[str, str]) -> tuple[bytes, ...] | None:
    """The keys that are to sign; None where one of them cannot be had."""
    found = [resolve(secret, environment) for secret in secrets]
    keys = [key for secret in found if secret is not None and (key := key_of(secret)) is not None]
    return tuple(keys) if len(keys) == len(secrets) else None


def is_ready(means: Means, environment: Mapping[str, str]) -> bool:
    """Whether the secrets of a way of delivering can be had."""
    if isinstance(means, LeadWebhook):
        return signing_keys(means.secrets, environment) is not None
    if isinstance(means, Files) and means.key is not None:
        return resolve(means.key, environment, lines=True) is not None
    return not isinstance(means, Files) or resolve(means.password or "", environment) is not None


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
    path = _endpoint_path(buyer, endpoint)
    yield f"{path}.auth.{_SECRET_KEYS[endpoint.auth.kind]}", endpoint.auth.secret
    for template in dict.fromkeys(endpoint.mapping.secrets() if endpoint.mapping else ()):
        yield f"{path}.mapping", template
    yield from _signing(f"{path}.signing", endpoint.signing)
    if endpoint.means is not None:
        yield from _of_means(f"{path}.{kind_of(endpoint.means)}", endpoint.means)


def _endpoint_path(buyer: Buyer, endpoint: Endpoint) -> str:
    where = "endpoint" if has_unnamed_endpoint(buyer) else f"endpoints.{endpoint.name}"
    return f"buyers.{buyer.key}.{where}"
