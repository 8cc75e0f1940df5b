"""Endpoints, webhooks and deliveries written down again as a person would write them, with secrets covered."""

from collections.abc import Sequence

from exchange.marketfile.leaves import Leaf, Tree, flow, listed, shown, tidy, written
from exchange.marketfile.mapping_tree import Secret, mapping_nodes
from exchange.marketfile.secrets import masked
from exchange.values.deliveries import Files, Following, LeadWebhook, Mail, Webhook
from exchange.values.market import (
    Auth,
    AuthKind,
    Endpoint,
    HmacTerms,
    OAuthTerms,
)


def endpoint_tree(item: Endpoint) -> Tree:
    terms = item.unknown
    return tidy(
        {
            "dialect": Leaf(item.dialect),
            "ping_url": None if item.ping_url is None else Leaf(item.ping_url),
            "post_url": Leaf(item.post_url),
            "status_url": None if item.status_url is None else Leaf(item.status_url),
            "ping_timeout_ms": Leaf(str(item.ping_timeout_ms)),
            "post_timeout_ms": Leaf(str(item.post_timeout_ms)),
            "keep_alive_s": Leaf(str(item.keep_alive_s)),
            "idempotent_post": Leaf(written(item.idempotent_post)),
            "unknown": None if terms is None else Leaf(f"{{presume: {terms.presume}, after_days: {terms.after_days}}}"),
            "auth": _auth(item.auth),
            "mapping": None if item.mapping is None else _mapping(mapping_nodes(item.mapping)),
            "signing": _signing(item.signing) or None,
        }
    )


def _signing(secrets: Sequence[str]) -> Tree:
    """The secrets of signatures, under the key that there is for one, or for several."""
    covered = [masked(secret) for secret in secrets]
    if len(secrets) > 1:
        return {"secrets": Leaf(f"[{', '.join(covered)}]", "\n".join(secrets))}
    return {"secret": Leaf(covered[0], secrets[0])} if secrets else {}


def webhook_tree(item: Webhook | None) -> Tree | None:
    if item is None:
        return None
    return {"url": Leaf(item.url), **_signing(item.secrets), "events": listed(sorted(item.events))}


def following_tree(item: Following) -> Tree:
    after = {"after_s": Leaf(str(item.after_s)) if item.after_s else None}
    match item.means:
        case LeadWebhook(url, secrets):
            means: Tree = {"url": Leaf(url), **_signing(secrets)}
        case Mail(to, subject, text, html):
            texts = {"subject": shown(subject), "text": shown(text), "html": shown(html)}
            means = tidy({"to": listed(to), **texts})
        case Files() as files:
            means = _files(files)
    return tidy(after | {item.kind: means})


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
