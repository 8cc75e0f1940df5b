"""The deliveries of a market file: built from their shapes, and their templates held against the fields of the lead."""

from collections.abc import Iterator, Mapping
from typing import Any

from exchange.marketfile.auth import build_auth
from exchange.marketfile.filters import read_filter
from exchange.marketfile.limits import DELIVERIES_MAX
from exchange.marketfile.mappings import build_message
from exchange.marketfile.problems import Problems, shown
from exchange.marketfile.references import check_name, name_in
from exchange.marketfile.scalars import as_text
from exchange.marketfile.shapes.deliveries import (
    DeliveryShape,
    FtpsShape,
    MailShape,
    MeansShape,
    NoticesShape,
    SellerWebhookShape,
    SftpShape,
)
from exchange.marketfile.verticals import Catalogue
from exchange.rules.templates import names_in
from exchange.values.deliveries import (
    Call,
    FileFormat,
    Files,
    Following,
    LeadWebhook,
    Mail,
    Means,
    Protocol,
    Retry,
    SellerEvent,
    Webhook,
)
from exchange.values.filters import Filter
from exchange.values.notices import BidEvent, Notices
from exchange.values.vertical import AGED_TYPES, FieldType

SALE_NAMES = (
    "attempt_id", "ping_id", "order", "campaign", "test", "price", "currency", "sale", "reference", "sold_at", "lead",
)  # fmt: skip
"""What a template may speak of besides the fields: `lead` is all of them."""

_TEMPLATES = ("subject", "text", "html")


def build_webhook(shape: SellerWebhookShape | None) -> Webhook | None:
    """A seller's webhook; without `events` it is told of all."""
    if shape is None:
        return None
    events = SellerEvent if shape.events is None else map(SellerEvent, shape.events)
    return Webhook(shape.url, shape.all_secrets(), frozenset(events))


def build_notices(shape: NoticesShape | None) -> Notices | None:
    """A buyer's notices; without `events` he is told of all."""
    if shape is None:
        return None
    events = BidEvent if shape.events is None else map(BidEvent, shape.events)
    return Notices(shape.url, shape.all_secrets(), frozenset(events))


def build_deliveries(shapes: Mapping[str, DeliveryShape] | None, whens: Mapping[str, Filter]) -> tuple[Following, ...]:
    """What follows the sales of an order; `whens` are the filters of those that have one."""
    return tuple(_following(name, shape, whens.get(name, Filter())) for name, shape in (shapes or {}).items())


def _following(name: str, shape: DeliveryShape, when: Filter) -> Following:
    retry = shape.retry
    return Following(
        name=name,
        means=_means(shape),
        after_s=shape.after_s,
        when=when,
        after=shape.after,
        instead_of=shape.instead_of,
        in_hours=shape.in_hours,
        on=shape.on,
        at_minute=shape.at or 0,
        retry=None if retry is None else Retry(retry.tries, retry.first_s, retry.longest_s),
    )


def _means(shape: DeliveryShape) -> Means | Call:
    if shape.http is None:
        return build_means(shape)
    return Call(shape.http.url, build_message(shape.http), build_auth(shape.http.auth))


def build_means(shape: MeansShape) -> Means:
    """The one way that is given."""
    if shape.webhook is not None:
        return LeadWebhook(shape.webhook.url, shape.webhook.all_secrets(), build_auth(shape.webhook.auth))
    if shape.email is not None:
        return _mail(shape.email)
    found = shape.sftp or shape.ftps
    if found is None:
        raise AssertionError("a delivery without a way was let through")
    return _files(found)


def _mail(shape: MailShape) -> Mail:
    return Mail(tuple(shape.to), shape.subject, shape.text, shape.html)


def _files(shape: SftpShape | FtpsShape) -> Files:
    has_key = isinstance(shape, SftpShape)
    return Files(
        protocol=Protocol.SFTP if has_key else Protocol.FTPS,
        host=shape.host,
        port=shape.port,
        user=shape.user,
        password=shape.password,
        key=shape.key if isinstance(shape, SftpShape) else None,
        host_key=shape.host_key if isinstance(shape, SftpShape) else None,
        folder=shape.folder or "",
        format=FileFormat(shape.format),
        every_min=shape.every_min,
    )


def check_deliveries(raw: Mapping[str, Any], path: str, catalogue: Catalogue, problems: Problems) -> None:
    """Reports templates that speak of what a lead does not have, and too many deliveries."""
    deliveries = raw.get("deliver")
    if not isinstance(deliveries, dict):
        return
    if len(deliveries) > DELIVERIES_MAX:
        problems.add(f"{path}.deliver", f"holds more than {DELIVERIES_MAX} entries")
        return
    _check_order(deliveries, path, problems)
    known = _names(catalogue)
    for name, delivery in deliveries.items():
        _check_date(delivery, f"{path}.deliver.{name}", catalogue, problems)
        for where, template in _templates(delivery):
            for said in names_in(template):
                if said not in known:
                    where_it_is = f"{path}.deliver.{name}.{where}"
                    problems.unknown(where_it_is, f"there is no value {shown(said)}", said, known)


def _check_date(delivery: object, path: str, catalogue: Catalogue, problems: Problems) -> None:
    """Reports a delivery that waits for what is no date."""
    name = name_in(delivery, "on")
    check_name(name, f"{path}.on", "field", catalogue.stages, problems)
    field = None if name is None else catalogue.fields.get(name)
    if field is None or name is None or not isinstance(delivery, dict):
        return
    if field.type not in AGED_TYPES:
        problems.add(f"{path}.on", f"{shown(name)} is a field of type {field.type}, not a date")
    elif field.type is FieldType.DATE_TIME and "at" in delivery:
        problems.add(f"{path}.at", f"{shown(name)} has a time of its own")


def _check_order(deliveries: Mapping[Any, Any], path: str, problems: Problems) -> None:
    """Reports deliveries that wait for one that is not there, or for each other."""
    waits = {}
    for name, delivery in deliveries.items():
        for key in ("after", "instead_of"):
            other = name_in(delivery, key)
            check_name(other, f"{path}.deliver.{name}.{key}", "delivery", deliveries, problems)
            if other in deliveries:
                waits[name] = other
    for name, first in waits.items():
        seen, at = {name}, first
        while at in waits and at not in seen:
            seen.add(at)
            at = waits[at]
        if at == name:
            problems.add(f"{path}.deliver.{name}", "waits for itself")


def read_delivery_filters(
    raw: Mapping[str, Any], path: str, catalogue: Catalogue, problems: Problems
) -> dict[str, Filter]:
    """The filters of the deliveries that have one, by name."""
    deliveries = raw.get("deliver")
    if not isinstance(deliveries, dict) or len(deliveries) > DELIVERIES_MAX:
        return {}
    return {
        name: read_filter(item["when"], f"{path}.deliver.{name}.when", catalogue, problems)
        for name, item in deliveries.items()
        if isinstance(item, dict) and item.get("when") is not None
    }


def check_endpoint_templates(endpoint: object, path: str, catalogue: Catalogue, problems: Problems) -> None:
    """Reports an order whose endpoint has templates that speak of what its leads do not have."""
    templates = list(_templates(endpoint))
    known = _names(catalogue) if templates else []
    for where, template in templates:
        for said in names_in(template):
            if said not in known:
                message = f"the endpoint's {where} speaks of {shown(said)}, which its leads do not have"
                problems.unknown(f"{path}.endpoint", message, said, known)


def _names(catalogue: Catalogue) -> list[str]:
    return [*SALE_NAMES, *(f"lead.{name}" for name in catalogue.stages)]


def _templates(delivery: Any) -> Iterator[tuple[str, str]]:
    """The templates of a delivery, or of an endpoint, with where each stands in it."""
    mail = delivery.get("email") if isinstance(delivery, dict) else None
    if isinstance(mail, dict):
        for key in _TEMPLATES:
            if (template := as_text(mail.get(key))) is not None:
                yield f"email.{key}", template
