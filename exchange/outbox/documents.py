"""A sold lead as it is written down for its buyer: as JSON, as a line of CSV, and as the values of a template."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from exchange.storage.outbox import Item
from exchange.storage.sold import OwnNames, Sold
from exchange.values.money import format_amount
from exchange.values.reason import Reason
from exchange.values.vertical import Lead

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
    """A row of the outbox with the sale and the opened lead that it stands for."""

    item: Item
    sold: Sold
    lead: Lead

    def document(self) -> dict[str, Any]:
        """The sale as JSON has it."""
        post, plan = self.sold.post, self.sold.plan
        return {
            "attempt_id": str(plan.attempt_id),
            "ping_id": str(post.ping_id),
            "order": plan.order,
            "campaign": post.campaign,
            "test": post.test,
            "price": format_amount(plan.gross_micros),
            "currency": post.currency,
            "sale": plan.sale.value,
            "reference": self.sold.reference,
            "sold_at": time_text(self.sold.sold_at),
            "lead": dict(self.lead),
        }


def lead_event(parcel: Parcel) -> bytes:
    """The body of a webhook that brings a lead."""
    document = parcel.document()
    return orjson.dumps({"type": "lead.sold", "timestamp": document["sold_at"], "data": document})


def post_event(item: Item, names: OwnNames) -> bytes:
    """The body of a webhook that tells a seller of a post: what was true when it happened, without contact data."""
    facts = item.facts
    micros, code = facts["price_micros"], facts.get("reason")
    reason = None if code in {None, Reason.ACCEPTED} else Reason(code)
    data = {
        "post_id": str(item.post_id),
        "ping_id": facts["ping_id"],
        "campaign": facts["campaign"],
        "source": names.source,
        "ref": names.ref,
        "test": facts["test"],
        "status": facts["status"],
        "price": None if micros is None else format_amount(micros),
        "currency": facts["currency"],
        "reason": None if reason is None else {"code": int(reason), "name": reason.wire_name, "text": reason.text},
    }
    if item.event == "post.returned":
        data |= {"reason": facts["reason_text"], "leg": facts["leg"]}
    happened = datetime.fromisoformat(facts["at"])
    return orjson.dumps({"type": item.event, "timestamp": time_text(happened), "data": data})


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


def formula_in(lead: Lead, texts: Sequence[str]) -> str | None:
    """The first of the text fields that a spreadsheet would take for a formula: such a lead is not written as CSV."""
    return next((name for name in texts if str(lead.get(name, "")).startswith(_FORMULA)), None)


def template_values(parcel: Parcel) -> dict[str, str]:
    """What a template can speak of: `lead` is all fields, one a line."""
    document = parcel.document()
    fields = {f"lead.{name}": as_text(value) for name, value in parcel.lead.items()}
    lines = [f"{name}: {as_text(value)}".replace("\n", "\n    ") for name, value in parcel.lead.items()]
    return {name: as_text(document[name]) for name in SALE_COLUMNS} | fields | {"lead": "\n".join(lines)}


def as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def time_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _cell(parcel: Parcel, name: str) -> str:
    return as_text(parcel.lead.get(name))
