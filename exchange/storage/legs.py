"""The legs of a shared post: claimed together, concluded one by one, each by a transaction of its own.

Every one of these transactions locks an attempt before its post, and the post before people, caps and accounts.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from exchange.rules.attempts import AttemptState, Effect, effect_of, state_after
from exchange.rules.legs import Tried, legs_after, may_have
from exchange.storage import holds, steps
from exchange.storage.database import Connection, Database
from exchange.storage.posts import (
    ATTEMPT,
    Ended,
    LegOver,
    NewPost,
    Plan,
    PostState,
    Prepared,
    PreparedLegs,
    Render,
    Result,
    plan_of,
)
from exchange.storage.standing import attempts_of, lock_post, result_of
from exchange.values.bid import Delivery
from exchange.values.reason import Reason


class _ShortError(Exception):
    """Rolls back what was held for the winners: more has to be locked before anything is held."""


async def claim(connection: Connection, post: NewPost, plans: Sequence[Plan], render: Render) -> PreparedLegs | Ended:
    """Holds and prepares every leg that its winner, or somebody of the reserve, can take; without one the post ends."""
    winners = [plan for plan in plans if plan.leg]
    try:
        async with connection.transaction():
            await holds.lock(connection, post, winners)
            held = await _hold(connection, post, winners)
            _check_enough(held, post, plans)
    except _ShortError:
        await holds.lock(connection, post, plans)
        held = await _hold(connection, post, winners)
        held += await _hold_reserve(connection, post, held, [plan for plan in plans if not plan.leg])
    if not held:
        return await end_at_once(connection, post, Reason.OFFER_WITHDRAWN, render)
    prepared = [Prepared(plan, await steps.prepare(connection, post, plan)) for plan in held]
    return PreparedLegs(tuple(prepared))


async def end_at_once(connection: Connection, post: NewPost, reason: Reason, render: Render) -> Ended:
    """Ends a post that nobody was sent, all its legs for the same reason."""
    legs = tuple(leg._replace(reason=reason) for leg in legs_after(post.legs, ()))
    return await steps.end(connection, post, Result(PostState.REJECTED, reason, legs=legs), render)


async def conclude(
    database: Database,
    post: NewPost,
    plan: Plan,
    delivery: Delivery,
    reserve: Sequence[Plan],
    render: Render,
    *,
    still_listening: bool,
) -> Prepared | Ended | LegOver | None:
    """Moves the attempt of one leg on, down the reserve after a clear no; None where another has taken it over.

    The last leg that is concluded ends the post. May be repeated after a commit that was not confirmed.
    """
    effect = effect_of(AttemptState.PREPARED, state_after(delivery))

    async def work(connection: Connection) -> Prepared | Ended | LegOver | None:
        if not await steps.move(connection, plan, delivery, keeps_lease=still_listening):
            return await _done_before(connection, post, plan)
        tried = await lock_post(connection, post.post_id)
        if effect is Effect.SETTLE:
            await holds.settle(connection, post.of_leg(plan), plan)
        elif effect is Effect.RELEASE:
            following = await _go_on(connection, post, plan, tried, reserve)
            if following is not None:
                return following
        result = result_of(post.legs, tried)
        if result.state is PostState.IN_PROGRESS:
            return LegOver()
        return await steps.end(connection, post, result, render)

    return await database.transact(work)


async def first_answer(database: Database, post: NewPost, render: Render, *, timeout_s: float) -> bytes:
    """The answer that is stored for a post; where there is none, it is from now on what can be said at this moment."""

    async def work(connection: Connection) -> bytes:
        tried = await lock_post(connection, post.post_id)
        stored: bytes | None = await connection.fetchval("select answer from posts where post_id = $1", post.post_id)
        if stored is not None:
            return stored
        answer = render(replace(result_of(post.legs, tried), state=PostState.PENDING))
        await connection.execute("update posts set answer = $2 where post_id = $1", post.post_id, answer)
        return answer

    return await database.transact(work, timeout_s=timeout_s)


async def stands(connection: Connection, post: NewPost) -> PreparedLegs | Ended | None:
    """Where a shared post stands that was claimed before: its legs, or its end; None where there is no such post."""
    rows = await connection.fetch(
        f"select {ATTEMPT} from attempts a join posts p using (post_id) "  # noqa: S608  # a constant
        "where a.post_id = $1 and a.state = 'prepared' order by a.leg",
        post.post_id,
    )
    if rows:
        return PreparedLegs(tuple(Prepared(plan_of(row)) for row in rows))
    answer = await connection.fetchval("select answer from posts where post_id = $1", post.post_id)
    return None if answer is None else Ended(result_of(post.legs, await attempts_of(connection, post.post_id)), answer)


def _check_enough(held: Sequence[Plan], post: NewPost, plans: Sequence[Plan]) -> None:
    if len(held) < min(len(post.legs), len(plans)):
        raise _ShortError


async def _hold(connection: Connection, post: NewPost, winners: Sequence[Plan]) -> list[Plan]:
    """Holds what each leg's winner needs; those whose order can have the lead."""
    held: list[Plan] = []
    for plan in winners:
        if may_have(plan.buyer, list(map(_as_held, held)), post.apart) and await holds.hold(connection, post, plan):
            held.append(plan)
    return held


async def _hold_reserve(
    connection: Connection, post: NewPost, held: Sequence[Plan], reserve: Sequence[Plan]
) -> list[Plan]:
    """Finds somebody of the reserve for each leg that its winner cannot take."""
    found: list[Plan] = []
    refused: set[UUID] = set()
    for leg, payout_micros in enumerate(post.legs, 1):
        if any(plan.leg == leg for plan in held):
            continue
        for plan in reserve:
            tried = [_as_held(item) for item in (*held, *found)]
            if plan.gross_micros < payout_micros or plan.attempt_id in refused:
                continue
            if not may_have(plan.buyer, tried, post.apart):
                continue
            if await holds.hold(connection, post, plan):
                found.append(replace(plan, leg=leg))
                break
            refused.add(plan.attempt_id)
    return found


async def _go_on(
    connection: Connection, post: NewPost, plan: Plan, tried: Sequence[Tried], reserve: Sequence[Plan]
) -> Prepared | None:
    """Gives back what an attempt held, and prepares the next one of its leg, if anybody can take it."""
    line = [
        item
        for item in reserve
        if item.gross_micros >= post.legs[plan.leg - 1] and may_have(item.buyer, tried, post.apart)
    ]
    await holds.lock(connection, post, [plan, *line])
    await holds.release(connection, post, plan)
    for item in line:
        if await holds.hold(connection, post, item):
            following = replace(item, leg=plan.leg)
            return Prepared(following, await steps.prepare(connection, post, following))
    return None


async def _done_before(connection: Connection, post: NewPost, plan: Plan) -> Prepared | Ended | LegOver | None:
    """What this gateway's own unconfirmed commit did; None where it was not this gateway that moved the attempt."""
    epoch = await connection.fetchval("select epoch from attempts where attempt_id = $1", plan.attempt_id)
    if epoch != plan.epoch:
        return None
    found = await stands(connection, post)
    if isinstance(found, PreparedLegs):
        return next((leg for leg in found.legs if leg.plan.leg == plan.leg), LegOver())
    return found


def _as_held(plan: Plan) -> Tried:
    return Tried(plan.leg, plan.ordinal, plan.buyer, plan.gross_micros, AttemptState.PREPARED, None)
