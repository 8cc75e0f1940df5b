"""Recorded pings: what an offer promised, found by the id alone in one partition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from exchange.storage.database import Connection, Database
from exchange.storage.ping_rows import PingRow
from exchange.values.ids import day_of
from exchange.values.market import Sale
from exchange.values.reason import Reason
from exchange.values.selling import Method
from exchange.values.trace import (
    BidOutcome,
    Inputs,
    OrderOutcome,
    OutcomeRow,
    PingStatus,
    PingTrace,
    Rung,
    Sums,
    legs_of,
)
from exchange.values.vertical import Lead

PAGE_TIMEOUT_S = 60.0
"""To find the next pings of a rare campaign may mean to look at many."""


@dataclass(frozen=True, slots=True)
class RecordedPing:
    """A ping as it lies in Postgres. `ladder`, `payout_micros`, `expires_at` are an offer's; `post_id` its post's."""

    ping_id: UUID
    seller: str
    campaign: str
    market_version: int
    status: PingStatus
    reason: Reason | None
    test: bool
    currency: str
    min_price_micros: int | None
    payout_micros: int | None
    expires_at: datetime | None
    ladder: tuple[Rung, ...]
    lead: Lead
    outcomes: tuple[OrderOutcome, ...]
    phases_ms: dict[str, float]
    post_id: UUID | None
    inputs: Inputs | None = None
    source: str | None = None
    ref: str | None = None
    sums: Sums | None = None

    @property
    def legs(self) -> tuple[int, ...]:
        """What a shared offer promised for each of its legs; nothing for an exclusive one."""
        return legs_of(self.ladder)


def row_of(trace: PingTrace) -> PingRow:
    """The row that a trace becomes. Rungs and outcomes are lists of their fields there: names would double the row."""
    offer = trace.offer
    return PingRow(
        day=day_of(trace.ping_id),
        ping_id=trace.ping_id,
        seller=trace.seller,
        campaign=trace.campaign,
        market_version=trace.market_version,
        status=trace.status,
        reason=None if trace.reason is None else int(trace.reason),
        test=trace.test,
        currency=trace.currency,
        source=trace.source,
        ref=trace.ref,
        min_price_micros=trace.min_price_micros,
        payout_micros=offer.payout_micros if offer else None,
        expires_at=offer.expires_at if offer else None,
        ladder=_dumps(_shortened(offer.ladder)) if offer else None,
        lead=_dumps(trace.lead),
        trace=_dumps(_told(trace)),
        notice_at=trace.notice_at,
    )


def _told(trace: PingTrace) -> dict[str, object]:
    found: dict[str, object] = {"orders": _shortened(trace.rows), "phases_ms": trace.phases_ms}
    if trace.inputs is not None:
        found["inputs"] = trace.inputs
    if trace.sums is not None:
        found["sums"] = trace.sums
    return found


def recorded(trace: PingTrace) -> RecordedPing:
    """A ping just recorded, without reading it back."""
    offer = trace.offer
    return RecordedPing(
        ping_id=trace.ping_id,
        seller=trace.seller,
        campaign=trace.campaign,
        market_version=trace.market_version,
        status=trace.status,
        reason=trace.reason,
        test=trace.test,
        currency=trace.currency,
        min_price_micros=trace.min_price_micros,
        payout_micros=offer.payout_micros if offer else None,
        expires_at=offer.expires_at if offer else None,
        ladder=offer.ladder if offer else (),
        lead=trace.lead,
        outcomes=trace.outcomes,
        phases_ms=dict(trace.phases_ms),
        post_id=None,
        inputs=trace.inputs,
        source=trace.source,
        ref=trace.ref,
        sums=trace.sums,
    )


async def find(database: Database, ping_id: UUID) -> RecordedPing | None:
    """The ping of this id, or None."""
    return await database.run(lambda connection: read(connection, ping_id))


async def look_up(database: Database, ping_id: UUID) -> RecordedPing | None:
    """As `find`, for who tells nobody of its post."""
    return await database.look(lambda connection: read(connection, ping_id))


async def read(connection: Connection, ping_id: UUID) -> RecordedPing | None:
    """As `find`, on a connection."""
    try:
        day = day_of(ping_id)
    except ValueError:
        return None
    row = await connection.fetchrow(
        "select pings.*, post_id from pings left join posts using (ping_id) where day = $1 and ping_id = $2",
        day,
        ping_id,
    )
    return None if row is None else _read(dict(row) | {"ping_id": ping_id})  # asyncpg has a UUID class of its own


async def page(
    database: Database, after: UUID, before: UUID, campaign: str | None, rows_max: int
) -> list[RecordedPing]:
    """The next pings between two UUIDv7, oldest first, of one campaign or (None) of all."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select pings.*, post_id from pings left join posts using (ping_id) "
            "where day between $1 and $2 and ping_id > $3 and ping_id < $4 "
            "and ($5::text is null or pings.campaign = $5) order by day, ping_id limit $6",
            day_of(after),
            day_of(before),
            after,
            before,
            campaign,
            rows_max,
        ),
        timeout_s=PAGE_TIMEOUT_S,
    )
    return [_read(dict(row) | {"ping_id": UUID(int=row["ping_id"].int)}) for row in rows]


async def forget_bid_ids(connection: Connection, ping_id: UUID) -> None:
    """Forgets what buyers have called their bids for a ping: these are texts of theirs."""
    found = await read(connection, ping_id)
    if found is None:
        return
    outcomes = [item._replace(bid_id=None, bids=tuple(map(_nameless, item.bids))) for item in found.outcomes]
    await connection.execute(
        "update pings set ladder = case when ladder is null then null else $3::json end, "
        "trace = jsonb_set(trace::jsonb, '{orders}', $4::jsonb)::json where day = $1 and ping_id = $2",
        day_of(ping_id),
        ping_id,
        _dumps(_shortened([rung._replace(bid_id=None) for rung in found.ladder])),
        _dumps(_shortened(outcomes)),
    )


def _nameless(bid: BidOutcome) -> BidOutcome:
    return bid._replace(bid_id=None)


def just_made(row: PingRow) -> RecordedPing:
    """The ping of a row that was written and that nobody has posted since."""
    return _read(row._asdict() | {"post_id": None})


def _read(row: Mapping[str, Any]) -> RecordedPing:
    trace = orjson.loads(row["trace"])
    return RecordedPing(
        ping_id=row["ping_id"],
        seller=row["seller"],
        campaign=row["campaign"],
        market_version=row["market_version"],
        status=PingStatus(row["status"]),
        reason=None if row["reason"] is None else Reason(row["reason"]),
        test=row["test"],
        currency=row["currency"],
        min_price_micros=row["min_price_micros"],
        payout_micros=row["payout_micros"],
        expires_at=row["expires_at"],
        ladder=tuple(Rung(*rung) for rung in orjson.loads(row["ladder"] or "[]")),
        lead=orjson.loads(row["lead"]),
        outcomes=_outcomes(trace),
        phases_ms=trace["phases_ms"],
        post_id=row["post_id"],
        inputs=_inputs(*trace["inputs"]) if "inputs" in trace else None,
        source=row["source"],
        ref=row["ref"],
        sums=Sums(*trace["sums"]) if "sums" in trace else None,
    )


def outcomes_in(trace: str) -> tuple[OrderOutcome, ...]:
    """What became of each order, from the trace of a row."""
    return _outcomes(orjson.loads(trace))


def _outcomes(trace: Mapping[str, Any]) -> tuple[OrderOutcome, ...]:
    return tuple(_outcome(*found) for found in trace["orders"])


def _inputs(method: str, values: Mapping[str, int], after: Sequence[Any] | None = None) -> Inputs:
    return Inputs(Method(method), values, None if after is None else _inputs(*after))


def _outcome(order: str, buyer: str, code: int, *more: Any) -> OrderOutcome:
    outcome = OrderOutcome(order, buyer, Reason(code), *more)
    if not outcome.bids:
        return outcome
    bids = [BidOutcome(*bid)._replace(sale=Sale(bid[0]), reason=Reason(bid[-1])) for bid in outcome.bids]
    return outcome._replace(bids=tuple(bids))


def _shortened(items: Sequence[Rung | OutcomeRow]) -> list[tuple[object, ...]]:
    """Rungs and outcomes as their fields, in order, without the last where it is empty."""
    return [tuple(item) if item[-1] else item[:-1] for item in items]


def _dumps(value: object) -> str:
    """JSON text; named tuples become lists of their fields, inputs without the last where it is empty."""
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: object) -> object:
    if isinstance(value, Inputs) and not value[-1]:
        return value[:-1]
    if isinstance(value, tuple):
        return tuple(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)
