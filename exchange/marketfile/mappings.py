"""Turns a mapping as written into one that can be compiled; nothing can be wrong with it any more."""

from collections.abc import Mapping
from dataclasses import replace

from exchange.marketfile.shapes.mapped import ItemShape, MappingShape, MessageShape, SourceShape, WhenShape
from exchange.marketfile.shapes.replies import BidsShape, ConditionShape, ReplyShape, SaleShape, SayingShape
from exchange.values.mapping import (
    BidList,
    Body,
    Case,
    Condition,
    EndpointMapping,
    Format,
    Kind,
    Less,
    Message,
    Money,
    Origin,
    Part,
    Phone,
    ReplyRules,
    SaleWords,
    Saying,
    Source,
    When,
)


def build_mapping(shape: MappingShape) -> EndpointMapping:
    """A mapping."""
    ping, status = (None if item is None else build_message(item) for item in (shape.ping, shape.status))
    return EndpointMapping(ping, build_message(shape.post), status)


def build_message(shape: MessageShape) -> Message:
    """One request, and what its answers mean."""
    return Message(
        method=shape.method,
        body=Body(shape.body),
        fields=_parts(shape.fields),
        reply=_reply(shape.reply),
        query=_parts(shape.query),
        headers=_parts(shape.headers),
        charset=shape.charset,
        root=shape.root or "",
        namespace=shape.namespace or "",
        action=shape.action or "",
    )


def _parts(shapes: Mapping[str, SourceShape]) -> tuple[Part, ...]:
    return tuple(Part(place, _source(shape)) for place, shape in shapes.items())


def _source(shape: ItemShape) -> Source:
    origin, name = _origin(shape)
    return Source(
        origin=origin,
        name=name,
        items=tuple(_source(item) for item in (shape.items if isinstance(shape, SourceShape) else None) or ()),
        join=shape.join if isinstance(shape, SourceShape) else None,
        values=shape.values or (),
        otherwise=shape.otherwise,
        default=shape.default,
        date=shape.date,
        phone=Phone(shape.phone) if shape.phone else None,
        money=Money(shape.money) if shape.money else None,
        boolean=shape.boolean,
        case=Case(shape.case) if shape.case else None,
        max_chars=shape.max_chars,
        kind=Kind(shape.kind) if shape.kind else None,
        when=_when(shape.when) if shape.when else None,
    )


def _origin(shape: ItemShape) -> tuple[Origin, str]:
    if shape.field is not None:
        return Origin.FIELD, shape.field
    if shape.value is not None:
        return Origin.VALUE, shape.value
    if shape.const is not None:
        return Origin.CONST, shape.const
    secret = shape.secret if isinstance(shape, SourceShape) else None
    return (Origin.LIST, "") if secret is None else (Origin.SECRET, secret)


def _when(shape: WhenShape) -> When:
    origin, name = (Origin.VALUE, shape.value or "") if shape.field is None else (Origin.FIELD, shape.field)
    return When(origin, name, shape.within or shape.without, negated=shape.without is not None)


def _reply(shape: ReplyShape) -> ReplyRules:
    form = Format(shape.format)
    return replace(
        _rules(shape, form),
        charset=shape.charset,
        reference=_saying(shape.reference),
        redirect_url=_saying(shape.redirect_url),
        confirmed=_saying(shape.confirmed),
        less=Less.UNKNOWN if shape.less is None else Less(shape.less),
        not_found=tuple(map(_condition, shape.not_found)),
        bids=None if shape.bids is None else BidList(shape.bids.at, _rules(shape.bids, form)),
    )


def _rules(shape: ReplyShape | BidsShape, form: Format) -> ReplyRules:
    """What is said of a whole answer, and of one bid of a list."""
    return ReplyRules(
        format=form,
        error=tuple(map(_condition, shape.error)),
        duplicate=tuple(map(_condition, shape.duplicate)),
        reject=tuple(map(_condition, shape.reject)),
        success=tuple(map(_condition, shape.success)),
        price=_saying(shape.price),
        bid_id=_saying(shape.bid_id),
        reason=_saying(shape.reason),
        sale=_sale(shape.sale),
        max_shares=_saying(shape.max_shares),
    )


def _sale(shape: SaleShape | None) -> SaleWords | None:
    return None if shape is None else SaleWords(Saying(shape.at, shape.matches), shape.exclusive, shape.shared)


def _condition(shape: ConditionShape) -> Condition:
    return Condition(
        at=shape.at,
        values=shape.within or shape.without,
        negated=shape.without is not None,
        exists=shape.exists,
        matches=shape.matches,
        above_micros=shape.above,
        statuses=shape.status or (),
        also=tuple(map(_condition, shape.also)),
    )


def _saying(shape: SayingShape | None) -> Saying | None:
    return None if shape is None else Saying(shape.at, shape.matches, Money(shape.money), shape.optional)
