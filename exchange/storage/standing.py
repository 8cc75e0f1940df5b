"""What a shared post is: it follows from its attempts, and is kept with it for those who look."""

from collections.abc import Sequence
from uuid import UUID

from exchange.rules.attempts import AttemptState
from exchange.rules.legs import LegStatus, Tried, legs_after
from exchange.storage.database import Connection
from exchange.storage.posts import PostState, Result
from exchange.values.reason import Reason

_TRIED = "leg, ordinal, buyer, gross_micros, state, reason, redirect_url"


async def let_stand(connection: Connection, post_id: UUID, promised: Sequence[int]) -> Result:
    """Makes a shared post what its attempts make it, one of which was changed; it tells nobody."""
    result = result_of(promised, await lock_post(connection, post_id))
    reason = None if result.state is PostState.IN_PROGRESS else int(result.reason)
    await connection.execute("select let_shared_post_stand($1, $2, $3)", post_id, result.state.value, reason)
    return result


async def lock_post(connection: Connection, post_id: UUID) -> list[Tried]:
    """Locks a post; its attempts, oldest first."""
    rows = await connection.fetch(f"select {_TRIED} from lock_shared_post($1)", post_id)  # noqa: S608  # a constant
    return [_tried(*row.values()) for row in rows]


async def attempts_of(connection: Connection, post_id: UUID) -> list[Tried]:
    """The attempts of a post, oldest first."""
    rows = await connection.fetch(
        f"select {_TRIED} from attempts where post_id = $1 order by created_at, ordinal",  # noqa: S608  # a constant
        post_id,
    )
    return [_tried(*row.values()) for row in rows]


def result_of(promised: Sequence[int], tried: Sequence[Tried]) -> Result:
    """What its attempts, given oldest first, make of a shared post; `IN_PROGRESS` while one may still be sent."""
    legs = legs_after(promised, tried)
    statuses = {leg.status for leg in legs}
    if LegStatus.PENDING in statuses:
        running = any(item.state is AttemptState.PREPARED for item in tried)
        return Result(PostState.IN_PROGRESS if running else PostState.PENDING, Reason.UNKNOWN, legs=legs)
    if LegStatus.ACCEPTED in statuses:
        sold = [leg for leg in legs if leg.status is LegStatus.ACCEPTED]
        reason = min(leg.reason for leg in sold)  # a buyer's word before a presumption
        redirect_url = next((leg.redirect_url for leg in sold if leg.redirect_url), None)
        return Result(PostState.ACCEPTED, reason, redirect_url, legs)
    last = tried[-1].reason if tried else None
    return Result(PostState.REJECTED, last or Reason.OFFER_WITHDRAWN, legs=legs)


def _tried(
    leg: int, ordinal: int, buyer: str, gross: int, state: str, reason: int | None, redirect_url: str | None
) -> Tried:
    said = None if reason is None else Reason(reason)
    return Tried(leg, ordinal, buyer, gross, AttemptState(state), said, redirect_url)
