"""A mapping written down again by its keys in the file, with secrets told apart for whoever covers them."""

from dataclasses import dataclass

from exchange.values.mapping import (
    Condition,
    EndpointMapping,
    Less,
    Message,
    Money,
    Origin,
    Part,
    ReplyRules,
    SaleWords,
    Saying,
    Source,
    When,
)
from exchange.values.money import format_amount


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret's template, to be covered."""

    template: str


Plain = dict[str, object]


def mapping_nodes(item: EndpointMapping) -> Plain:
    """A mapping as plain mappings, lists and values."""
    messages = {"ping": item.ping, "post": item.post, "status": item.status}
    return {name: message_nodes(message) for name, message in messages.items() if message is not None}


def message_nodes(item: Message) -> Plain:
    """One message, likewise."""
    return _said(
        method=item.method,
        body=str(item.body),
        charset=item.charset if item.charset != "utf-8" else "",
        root=item.root,
        namespace=item.namespace,
        action=item.action,
        headers=_parts(item.headers),
        query=_parts(item.query),
        fields=_parts(item.fields),
        reply=_reply(item.reply),
    )


def _parts(items: tuple[Part, ...]) -> Plain:
    return {part.place: _source(part.source) for part in items}


def _source(item: Source) -> object:
    found = _said(
        **{str(item.origin): _origin(item)},
        join=item.join,
        values=dict(item.values),
        otherwise=item.otherwise,
        default=item.default,
        date=item.date,
        phone=item.phone,
        money=item.money,
        boolean=list(item.boolean or ()),
        case=item.case,
        max_chars=item.max_chars,
        when=_when(item.when) if item.when else None,
    )
    if item.kind:
        found["as"] = str(item.kind)
    return item.name if list(found) == ["field"] else found


def _origin(item: Source) -> object:
    if item.origin is Origin.LIST:
        return [_source(inner) for inner in item.items]
    return Secret(item.name) if item.origin is Origin.SECRET else item.name


def _when(item: When) -> Plain:
    return {str(item.origin): item.name, **_words(item.values, negated=item.negated)}


def _reply(item: ReplyRules) -> Plain:
    rules = {
        "error": item.error,
        "duplicate": item.duplicate,
        "reject": item.reject,
        "success": item.success,
        "not_found": item.not_found,
    }
    sayings = {
        "price": item.price,
        "bid_id": item.bid_id,
        "reason": item.reason,
        "reference": item.reference,
        "redirect_url": item.redirect_url,
        "confirmed": item.confirmed,
        "max_shares": item.max_shares,
    }
    return _said(
        format=str(item.format),
        charset=item.charset if item.charset != "utf-8" else "",
        **{key: [_condition(condition) for condition in found] for key, found in rules.items()},
        **{key: _saying(found) for key, found in sayings.items() if found},
        less=str(item.less) if item.less is not Less.UNKNOWN else None,
        sale=None if item.sale is None else _sale(item.sale),
        bids=None if item.bids is None else {"at": item.bids.at, **_reply(item.bids.each)},
    )


def _sale(item: SaleWords) -> Plain:
    return {**_saying(item.saying), "exclusive": list(item.exclusive), "shared": list(item.shared)}


def _condition(item: Condition) -> Plain:
    found = _said(at=item.at, matches=item.matches, status=list(item.statuses))
    found |= _words(item.values, negated=item.negated)
    if item.exists is not None:
        found["exists"] = item.exists
    if item.above_micros is not None:
        found["above"] = format_amount(item.above_micros)
    if item.also:
        found["and"] = [_condition(other) for other in item.also]
    return found


def _saying(item: Saying) -> Plain:
    money = item.money if item.money is not Money.PLAIN else None
    return _said(at=item.at, matches=item.matches, money=money, optional=item.optional)


def _words(values: tuple[str, ...] | None, *, negated: bool) -> Plain:
    return {} if values is None else {"not" if negated else "is": list(values)}


def _said(**keys: object) -> Plain:
    """What is there: nothing that is empty, off or usual."""
    return {key: value for key, value in keys.items() if value not in (None, "", False, [], {})}
