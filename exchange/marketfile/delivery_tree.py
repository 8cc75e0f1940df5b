"""Endpoints, webhooks and deliveries written down again as a person would write them, with secrets covered."""

from collections.abc import Sequence
from typing import assert_never

from exchange.marketfile.leaves import Leaf, Tree, flow, listed, shown, tidy, written
from exchange.marketfile.mapping_tree import Secret, mapping_nodes, message_nodes
from exchange.marketfile.secrets import masked
from exchange.marketfile.times import clock_text
from exchange.values.auth import Auth, AuthKind, HmacTerms, OAuthTerms
from exchange.values.brakes import BreakerWish, Rate
from exchange.values.deliveries import Call, Files, Following, LeadWebhook, Mail, Means, Retry, Webhook, kind_of
from exchange.values.market import Endpoint
from exchange.values.notices import Notices


def rate_leaf(item: Rate | None) -> Leaf | None:
    """A rate, on one line."""
    return None if item is None else Leaf(f"{{per_s: {item.per_s}, burst: {item.burst}}}")


def endpoint_tree(item: Endpoint) -> Tree:
    terms = item.unknown
    return tidy(
        {
            "dialect": Leaf(item.dialect),
            "ping_url": None if item.ping_url is None else Leaf(item.ping_url),
            "post_url": None if item.post_url is None else Leaf(item.post_url),
            **({} if item.means is None else {kind_of(item.means): _means(item.means)}),
            "status_url": None if item.status_url is None else Leaf(item.status_url),
            "ping_timeout_ms": Leaf(str(item.ping_timeout_ms)),
            "post_timeout_ms": Leaf(str(item.post_timeout_ms)),
            "keep_alive_s": Leaf(str(item.keep_alive_s)),
            "idempotent_post": Leaf(written(item.idempotent_post)),
            "unknown": None if terms is None else Leaf(f"{{presume: {terms.presume}, after_days: {terms.after_days}}}"),
            "auth": _auth(item.auth),
            "mapping": None if item.mapping is None else _mapping(mapping_nodes(item.mapping)),
            "signing": _signing(item.signing) or None,
            "breaker": _breaker(item.breaker) or None,
            "rate": rate_leaf(item.rate),
            "in_flight": shown(item.in_flight_max),
        }
    )


def _breaker(item: BreakerWish) -> Tree:
    return tidy(
        {
            "enabled": None if item.enabled else Leaf("false"),
            "shadow": shown(item.shadow),
            "percent": shown(item.failed_percent),
            "calls": shown(item.calls_min),
            "post_calls": shown(item.post_calls_min),
            "window_s": shown(item.window_s),
            "post_window_s": shown(item.post_window_s),
            "rest_s": shown(item.rest_first_s),
            "probes": shown(item.probe_percent),
            "pause_after_s": shown(item.pause_after_s),
        }
    )


def _signing(secrets: Sequence[str]) -> Tree:
    """The secrets of signatures, under the key that there is for one, or for several."""
    covered = [masked(secret) for secret in secrets]
    if len(secrets) > 1:
        return {"secrets": Leaf(f"[{', '.join(covered)}]", "\n".join(secrets))}
    return {"secret": Leaf(covered[0], secrets[0])} if secrets else {}


def webhook_tree(item: Webhook | Notices | None) -> Tree | None:
    if item is None:
        return None
    return {"url": Leaf(item.url), **_signing(item.secrets), "events": listed(sorted(item.events))}


def following_tree(item: Following, when: Tree) -> Tree:
    """A delivery, with its filter, which is written as others are."""
    terms = {
        "after_s": Leaf(str(item.after_s)) if item.after_s else None,
        "when": when or None,
        "after": shown(item.after),
        "instead_of": shown(item.instead_of),
        "in_hours": Leaf("true") if item.in_hours else None,
        "on": shown(item.on),
        "at": Leaf(written(clock_text(item.at_minute))) if item.at_minute else None,
        "retry": None if item.retry is None else _retry(item.retry),
    }
    return tidy(terms | {item.kind: _call(item.means) if isinstance(item.means, Call) else _means(item.means)})


def _retry(item: Retry) -> Tree:
    said = {"tries": item.tries_max, "first_s": item.first_s, "longest_s": item.longest_s}
    return tidy({key: shown(value) for key, value in said.items()})


def _call(item: Call) -> Tree:
    message = _mapping(message_nodes(item.message))
    return {"url": Leaf(item.url), "auth": _auth(item.auth), **(message if not isinstance(message, Leaf) else {})}


def _means(means: Means) -> Tree:
    match means:
        case LeadWebhook(url, secrets, auth):
            known_by = {} if auth.kind is AuthKind.NONE else {"auth": _auth(auth)}
            return {"url": Leaf(url), **_signing(secrets), **known_by}
        case Mail(to, subject, text, html):
            texts = {"subject": shown(subject), "text": shown(text), "html": shown(html)}
            return tidy({"to": listed(to), **texts})
        case Files():
            return _files(means)
    assert_never(means)


def _files(item: Files) -> Tree:
    login = {"password": item.password, "key": item.key}
    return tidy(
        {
            "host": Leaf(item.host),
            "port": Leaf(str(item.port)),
            "user": Leaf(item.user),
            **{name: None if secret is None else Leaf(masked(secret), secret) for name, secret in login.items()},
            "host_key": shown(item.host_key),
            "folder": shown(item.folder or None),
            "format": Leaf(item.format),
            "every_min": shown(item.every_min),
        }
    )


def _mapping(node: object) -> "Leaf | Tree":
    match node:
        case dict():
            return {str(key): _mapping(item) for key, item in node.items()}
        case list():
            items = [_mapping(item) for item in node]
            hidden = "\0".join(item.hidden for item in items if isinstance(item, Leaf))
            return Leaf(f"[{', '.join(map(flow, items))}]", hidden)
        case Secret():
            return Leaf(masked(node.template), node.template)
        case bool() | int() | str():
            return Leaf(written(node))
    raise TypeError(type(node).__name__)


def _auth(item: Auth) -> "Leaf | Tree":
    secret = Leaf(masked(item.secret), item.secret)
    match item.kind:
        case AuthKind.NONE:
            return Leaf("none")
        case AuthKind.BEARER:
            return {"bearer": secret}
        case AuthKind.BASIC:
            return {"basic": {"user": Leaf(item.name), "password": secret}}
        case AuthKind.HEADER:
            return {"header": {"name": Leaf(item.name), "value": secret}}
        case AuthKind.QUERY:
            return {"query": {"name": Leaf(item.name), "value": secret}}
        case AuthKind.HMAC:
            return {"hmac": {"header": Leaf(item.name), "secret": secret, **_hmac_terms(item.hmac)}}
        case AuthKind.OAUTH2:
            return {"oauth2": {"client_id": Leaf(written(item.name)), "secret": secret, **_oauth_terms(item.oauth2)}}


def _oauth_terms(item: OAuthTerms | None) -> Tree:
    if item is None:
        return {}
    return tidy(
        {
            "token_url": Leaf(written(item.token_url)),
            "scope": Leaf(written(item.scope)) if item.scope else None,
            "parameters": {name: Leaf(written(text)) for name, text in item.parameters} or None,
            "client_auth": Leaf("body") if item.in_body else None,
        }
    )


def _hmac_terms(item: HmacTerms | None) -> Tree:
    if item is None:
        return {}
    stamp = None if item.timestamp_header is None else Leaf(written(item.timestamp_header))
    return tidy(
        {
            "over": listed(item.over),
            "separator": Leaf(written(item.separator)) if item.separator else None,
            "digits": Leaf(item.digits),
            "prefix": Leaf(written(item.prefix)) if item.prefix else None,
            "timestamp_header": stamp,
        }
    )
