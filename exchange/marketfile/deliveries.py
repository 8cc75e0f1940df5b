"""The deliveries of a market file: built from their shapes, and their templates held against the fields of the lead."""

from collections.abc import Iterator, Mapping
from typing import Any

from exchange.marketfile.auth import build_auth
from exchange.marketfile.limits import DELIVERIES_MAX
from exchange.marketfile.mappings import build_message
from exchange.marketfile.problems import Problems, shown
from exchange.marketfile.scalars import as_text
from exchange.marketfile.shapes.deliveries import (
    DeliveryShape,
    FtpsShape,
    MailShape,
    MeansShape,
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
    SellerEvent,
    Webhook,
)

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


def build_deliveries(shapes: Mapping[str, DeliveryShape] | None) -> tuple[Following, ...]:
    """What follows the sales of an order."""
    return tuple(Following(name, _means(shape), shape.after_s) for name, shape in (shapes or {}).items())


def _means(shape: DeliveryShape) -> Means | Call:
    if shape.http is None:
        return build_means(shape)
    return Call(shape.http.url, build_message(shape.http), build_auth(shape.http.auth))


def build_means(shape: MeansShape) -> Means:
    """The one way that is given."""
    if shape.webhook is not None:
        return LeadWebhook(shape.webhook.url, shape.webhook.all_secrets())
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
    known = _names(catalogue)
    for name, delivery in deliveries.items():
        for where, template in _templates(delivery):
            for said in names_in(template):
                if said not in known:
                    where_it_is = f"{path}.deliver.{name}.{where}"
                    problems.unknown(where_it_is, f"there is no value {shown(said)}", said, known)


def check_endpoint_templates(endpoint: object, path: str, catalogue: Catalogue, problems: Problems) -> None:
    """Reports an order whose endpoint has templates that speak of what its leads do not have."""
    known = _names(catalogue)
    for where, template in _templates(endpoint):
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
