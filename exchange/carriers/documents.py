"""A sold lead as it is written down for its buyer: as JSON, as a line of CSV, and as the values of a template."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from exchange.buyers.dialects.wire import Post
from exchange.values.money import format_amount
from exchange.values.vertical import FieldType, Lead, Vertical

SALE_COLUMNS = (
    "attempt_id",
    "ping_id",
    "order",
    "campaign",
    "test",
    "price",
    "currency",
    "sale",
    "reference",
    "sold_at",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""With what a cell begins that a spreadsheet may take for a formula."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A lead for the buyer who buys it. `sold_at` is when it is sent, where that decides whether he does."""

    post: Post
    sold_at: datetime
    reference: str | None = None

    def document(self) -> dict[str, Any]:
        """The sale as JSON has it."""
        post = self.post
        return {
            "attempt_id": str(post.attempt_id),
            "ping_id": str(post.ping_id),
            "order": post.order,
            "campaign": post.campaign,
            "test": post.test,
            "price": format_amount(post.gross_micros),
            "currency": post.currency,
            "sale": post.sale.value,
            "reference": self.reference,
            "sold_at": time_text(self.sold_at),
            "lead": dict(post.lead),
        }


def lead_event(parcel: Parcel) -> bytes:
    """The body of a webhook that brings a lead."""
    document = parcel.document()
    return orjson.dumps({"type": "lead.sold", "timestamp": document["sold_at"], "data": document})


def json_file(parcels: Sequence[Parcel], *, as_list: bool) -> bytes:
    """One lead as an object, or several as a list of them."""
    documents = [parcel.document() for parcel in parcels]
    return orjson.dumps(documents if as_list else documents[0], option=orjson.OPT_APPEND_NEWLINE)


def csv_file(parcels: Sequence[Parcel], fields: Sequence[str]) -> bytes:
    """The leads as CSV (RFC 4180) with a header: the sale, then the fields of the vertical in their order."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([*SALE_COLUMNS, *fields])
    for parcel in parcels:
        document = parcel.document()
        writer.writerow([as_text(document[name]) for name in SALE_COLUMNS] + [_cell(parcel, name) for name in fields])
    return text.getvalue().encode()


def formula_in(lead: Lead, vertical: Vertical | None) -> str | None:
    """The first of the text fields that a spreadsheet would take for a formula: such a lead is not written as CSV."""
    fields = {} if vertical is None else vertical.fields
    texts = (name for name, item in fields.items() if item.type is FieldType.TEXT)
    return next((name for name in texts if as_text(lead.get(name)).startswith(_FORMULA)), None)


def template_values(parcel: Parcel) -> dict[str, str]:
    """What a template can speak of: `lead` is all fields, one a line."""
    document = parcel.document()
    fields = {f"lead.{name}": as_text(value) for name, value in parcel.post.lead.items()}
    lines = [f"{name}: {as_text(value)}".replace("\n", "\n    ") for name, value in parcel.post.lead.items()]
    return {name: as_text(document[name]) for name in SALE_COLUMNS} | fields | {"lead": "\n".join(lines)}


def as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(map(as_text, value))
    return "" if value is None else str(value)


def time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cell(parcel: Parcel, name: str) -> str:
    return as_text(parcel.post.lead.get(name))
