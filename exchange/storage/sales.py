"""Sales: a post is two short transactions round one delivery, and no lock is held across it.

`claim` uses the offer up, holds the buyer's money and writes the attempt down; only then may a byte leave. `conclude`
moves the attempt on by compare-and-set, settles or releases, and, after a clear no, prepares the next attempt.
"""

from collections.abc import Sequence
from typing import assert_never
from uuid import UUID

from exchange.storage import holds, idempotency
from exchange.storage.database import Connection, Database
from exchange.storage.idempotency import KeyState
from exchange.storage.posts import (
    PENDING,
    Ended,
    NewPost,
    Plan,
    PostedBefore,
    PostState,
    Prepared,
    RecordedPost,
    Render,
    Result,
)
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected, Unknown
from exchange.values.reason import Reason


class _NotClaimedError(Exception):
    """Rolls a claim back, its idempotency key included, because the ping or the key stands for something already."""

    def __init__(self, found: PostedBefore | KeyState) -> None:
        super().__init__()
        self.found = found


class Sales:
    """The storage side of posts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, post: NewPost, plans: Sequence[Plan], render: Render
    ) -> Prepared | Ended | PostedBefore | KeyState:
        """Commit 1. Uses the offer up and prepares the first plan that money allows; without one the post ends, 506.

        Nothing is stored where the ping was posted before or the key stands for something already.
        """

        async def work(connection: Connection) -> Prepared | Ended:
            if post.key is not None and (taken := await _take_key(connection, post)) is not None:
                raise _NotClaimedError(taken)
            if not await _insert_post(connection, post):
                raise _NotClaimedError(await _posted_before(connection, post.ping_id))
            return await _go_on(connection, post, plans, render, Reason.OFFER_WITHDRAWN)

        try:
            return await self._database.transact(work)
        except _NotClaimedError as error:
            return error.found

    async def conclude(
        self, post: NewPost, plan: Plan, delivery: Delivery, next_plans: Sequence[Plan], render: Render
    ) -> Prepared | Ended | None:
        """Commit 2. Moves a prepared attempt on; None where somebody else has done so already."""

        async def work(connection: Connection) -> Prepared | Ended | None:
            if not await _move(connection, plan, "prepared", delivery):
                return None
            match delivery:
                case Accepted():
                    await holds.settle(connection, post, plan)
                    result = Result(PostState.ACCEPTED, Reason.ACCEPTED, delivery.redirect_url)
                    return await _end(connection, post, result, render)
                case Unknown():
                    return await _end(connection, post, PENDING, render)
                case Rejected() | NotSent():
                    await holds.lock(connection, post, [plan, *next_plans])
                    await holds.release(connection, post, plan)
                    return await _go_on(connection, post, next_plans, render, _reason(delivery))
            assert_never(delivery)

        return await self._database.transact(work)

    async def resolve(self, post: NewPost, plan: Plan, delivery: Accepted | Rejected | NotSent) -> bool:
        """Settles what was unknown by a late yes or no; the first answer stays. False where it came too late."""

        async def work(connection: Connection) -> bool:
            if not await _move(connection, plan, "unknown", delivery):
                return False
            accepted = isinstance(delivery, Accepted)
            await (holds.settle if accepted else holds.release)(connection, post, plan)
            await connection.execute(
                "update posts set state = $2, reason = $3, finished_at = now() "
                "where post_id = $1 and state = 'pending'",
                post.post_id,
                (PostState.ACCEPTED if accepted else PostState.REJECTED).value,
                int(_reason(delivery)),
            )
            return True

        return await self._database.transact(work)

    async def find(self, post_id: UUID) -> RecordedPost | None:
        """What is true of a post now."""
        row = await self._database.run(
            lambda connection: connection.fetchrow(
                "select p.*, a.redirect_url from posts p "
                "left join attempts a on a.post_id = p.post_id and a.state in ('accepted', 'presumed_accepted') "
                "where p.post_id = $1",
                post_id,
            )
        )
        if row is None:
            return None
        return RecordedPost(
            post_id=post_id,
            ping_id=row["ping_id"],
            seller=row["seller"],
            state=PostState(row["state"]),
            reason=None if row["reason"] is None else Reason(row["reason"]),
            currency=row["currency"],
            payout_micros=row["payout_micros"],
            redirect_url=row["redirect_url"],
            created_at=row["created_at"],
            finished_at=row["finished_at"],
        )

    async def of_ping(self, ping_id: UUID) -> PostedBefore | None:
        """The post of a ping, if it has one."""
        return await self._database.run(lambda connection: _find_of_ping(connection, ping_id))


async def _take_key(connection: Connection, post: NewPost) -> KeyState | None:
    if post.key is None:
        return None
    if post.key.path != "/v1/leads":
        return await idempotency.take(connection, post.key, post.post_id)
    await idempotency.bind(connection, post.key, post.post_id)  # taken before its ping was made
    return None


async def _insert_post(connection: Connection, post: NewPost) -> bool:
    inserted = await connection.fetchval(
        "insert into posts (post_id, ping_id, seller, campaign, market_version, test, currency, payout_micros, state, "
        "lead_fingerprint, lead_sealed, lead_key) values ($1, $2, $3, $4, $5, $6, $7, $8, 'in_progress', $9, $10, $11) "
        "on conflict (ping_id) do nothing returning post_id",
        post.post_id,
        post.ping_id,
        post.seller,
        post.campaign,
        post.market_version,
        post.test,
        post.currency,
        post.payout_micros,
        post.fingerprint,
        post.sealed.lead,
        post.sealed.key,
    )
    return inserted is not None


async def _posted_before(connection: Connection, ping_id: UUID) -> PostedBefore:
    found = await _find_of_ping(connection, ping_id)
    if found is None:
        raise LookupError("a post that blocks a claim cannot be read")
    return found


async def _find_of_ping(connection: Connection, ping_id: UUID) -> PostedBefore | None:
    row = await connection.fetchrow("select post_id, lead_fingerprint, answer from posts where ping_id = $1", ping_id)
    return None if row is None else PostedBefore(*row.values())


async def _go_on(
    connection: Connection, post: NewPost, plans: Sequence[Plan], render: Render, otherwise: Reason
) -> Prepared | Ended:
    """Prepares the first plan whose buyer can pay; without one the post is rejected with the reason `otherwise`."""
    for plan in plans:
        if await holds.hold(connection, post, plan):
            await _insert_attempt(connection, post, plan)
            return Prepared(plan)
    return await _end(connection, post, Result(PostState.REJECTED, otherwise), render)


async def _insert_attempt(connection: Connection, post: NewPost, plan: Plan) -> None:
    await connection.execute(
        "insert into attempts (attempt_id, post_id, ping_id, ordinal, order_key, buyer, exclusive, test, bid_id, "
        "currency, gross_micros, payout_micros, state, lease_until) values ($1, $2, $3, $4, $5, $6, true, $7, $8, $9, "
        "$10, $11, 'prepared', now() + make_interval(secs => $12))",
        plan.attempt_id,
        post.post_id,
        post.ping_id,
        plan.ordinal,
        plan.order,
        plan.buyer,
        post.test,
        plan.bid_id,
        post.currency,
        plan.gross_micros,
        post.payout_micros,
        plan.lease_s,
    )


async def _move(connection: Connection, plan: Plan, before: str, delivery: Delivery) -> bool:
    """Compare-and-set of an attempt's state; the row stays locked to the end of the transaction."""
    moved = await connection.fetchval(
        "update attempts set state = $3, reason = $4, detail = $5, reference = $6, redirect_url = $7, "
        "resolved_at = now() where attempt_id = $1 and state = $2 and epoch = 1 returning attempt_id",
        plan.attempt_id,
        before,
        _state(delivery),
        int(_reason(delivery)),
        "" if isinstance(delivery, Accepted) else delivery.detail,
        delivery.reference if isinstance(delivery, Accepted) else None,
        delivery.redirect_url if isinstance(delivery, Accepted) else None,
    )
    return moved is not None


async def _end(connection: Connection, post: NewPost, result: Result, render: Render) -> Ended:
    answer = render(result)
    await connection.execute(
        "update posts set state = $2, reason = $3, answer = $4, "
        "finished_at = case when $2 = 'pending' then null else now() end where post_id = $1",
        post.post_id,
        result.state.value,
        int(result.reason),
        answer,
    )
    return Ended(result, answer)


def _state(delivery: Delivery) -> str:
    match delivery:
        case Accepted():
            return "accepted"
        case Rejected():
            return "rejected"
        case NotSent():
            return "not_sent"
        case Unknown():
            return "unknown"
    assert_never(delivery)


def _reason(delivery: Delivery) -> Reason:
    match delivery:
        case Accepted():
            return Reason.ACCEPTED
        case Rejected():
            return delivery.reason
        case NotSent():
            return Reason.NOT_SENT
        case Unknown():
            return Reason.UNKNOWN
    assert_never(delivery)
