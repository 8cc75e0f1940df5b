"""The history of a post: its attempts in order, how each that was unknown was resolved, and its return."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from exchange.rules.attempts import AttemptState
from exchange.storage.database import Connection, Database
from exchange.values.reason import Reason


@dataclass(frozen=True, slots=True)
class Event:
    """Something that changed an attempt after its gateway had let go of it."""

    at: datetime
    what: str
    note: str


@dataclass(frozen=True, slots=True)
class AttemptHistory:
    """One attempt: who was sent the lead, at what price, and what came of it."""

    attempt_id: UUID
    order: str
    buyer: str
    gross_micros: int
    state: AttemptState
    reason: Reason | None
    detail: str
    made_at: datetime
    events: tuple[Event, ...]
    payout_micros: int = 0
    resolved_at: datetime | None = None
    leg: int = 0
    """That of a shared post; 0 of an exclusive one."""


async def attempts_of(database: Database, post_id: UUID) -> list[AttemptHistory]:
    """The attempts of a post, first to last."""

    async def work(connection: Connection) -> list[AttemptHistory]:
        rows = await connection.fetch(
            "select * from attempts where post_id = $1 order by leg, created_at, ordinal", post_id
        )
        events: dict[UUID, list[Event]] = {}
        for row in await connection.fetch(
            "select attempt_id, r.created_at, state_before || ' -> ' || state_after || ' by ' || how as what, note "
            "from resolutions r join attempts a using (attempt_id) where a.post_id = $1 "
            "union all select attempt_id, created_at, 'returned: ' || reason, note from returns where post_id = $1 "
            "order by 2",
            post_id,
        ):
            events.setdefault(row["attempt_id"], []).append(Event(row["created_at"], row["what"], row["note"]))
        return [
            AttemptHistory(
                attempt_id=row["attempt_id"],
                order=row["order_key"],
                buyer=row["buyer"],
                gross_micros=row["gross_micros"],
                state=AttemptState(row["state"]),
                reason=None if row["reason"] is None else Reason(row["reason"]),
                detail=row["detail"],
                made_at=row["created_at"],
                events=tuple(events.get(row["attempt_id"], ())),
                payout_micros=row["payout_micros"],
                resolved_at=row["resolved_at"],
                leg=0 if row["exclusive"] else row["leg"],
            )
            for row in rows
        ]

    return await database.run(work)
