"""Sales: a post is two short transactions round one delivery, and no lock is held across it.

`claim` uses the offer up, holds the buyer's money and writes the attempt down; only then may a byte leave. `conclude`
moves the attempt on by compare-and-set of state and epoch, settles or releases, and, after a clear no, prepares the
next attempt.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from exchange.errors import RefusedByDatabase
from exchange.rules.attempts import AttemptState, Effect, effect_of, reason_of, state_after
from exchange.storage import holds, idempotency, legs, queue, standing, steps
from exchange.storage.database import Connection, Database
from exchange.storage.idempotency import KeyState
from exchange.storage.posts import (
    ATTEMPT,
    PENDING,
    Counted,
    Ended,
    LegOver,
    NewPost,
    NotTaken,
    Plan,
    PostedBefore,
    PostState,
    Prepared,
    PreparedLegs,
    RecordedPost,
    Render,
    Result,
    Returned,
    plan_of,
)
from exchange.storage.steps import Telling
from exchange.storage.verdicts import How, Resolved, Unresolved, resolve, verdict_of
from exchange.values.bid import Accepted, Delivery, NotSent, Rejected
from exchange.values.reason import Reason

AT_ANY_TIME = datetime(9999, 1, 1, tzinfo=UTC)


class _NotClaimedError(Exception):
    """Rolls a claim back, its idempotency key included, because the ping or the key stands for something already."""

    def __init__(self, found: PostedBefore | KeyState) -> None:
        super().__init__()
        self.found = found


class _NotTakenError(Exception):
    """Rolls the claim for a lead that waited back, because nobody can take it at this moment."""

    def __init__(self, ended: Ended) -> None:
        super().__init__()
        self.ended = ended


class _NotOursError(Exception):
    """Rolls the claim for a lead that waited back, because another has taken the lead over, or its wait has ended."""


class Sales:
    """The storage side of posts. `counted` is told of attempts whose caps may have changed, once that is committed."""

    def __init__(self, database: Database, *, counted: Sequence[Counted] = ()) -> None:
        self._database = database
        self._counted = counted

    async def claim(
        self, post: NewPost, plans: Sequence[Plan], render: Render, *, timeout_s: float | None = None
    ) -> Prepared | PreparedLegs | Ended | PostedBefore | KeyState:
        """Commit 1. Uses the offer up and prepares the first plan that money allows; without one the post ends, 506.

        Of a shared post every leg is prepared that somebody can take.

        Nothing is stored where the ping was posted before or the key stands for something already. May be repeated
        after a commit that was not confirmed: what that one did is then found.
        """
        if plans and not post.legs and (straight := await self._claim_straight(post, plans[0], timeout_s)) is not None:
            return straight

        async def work(connection: Connection) -> Prepared | PreparedLegs | Ended:
            return await _claim(connection, post, plans, render)

        try:
            done = await self._database.transact(work, timeout_s=timeout_s)
        except _NotClaimedError as error:
            if error.found.post_id != post.post_id:
                return error.found
            done = await self._claimed_before(post)
        self._tell(post, plans)
        return done

    async def claim_waiting(
        self, post: NewPost, plans: Sequence[Plan], render: Render, epoch: int
    ) -> Prepared | PreparedLegs | Ended | NotTaken | None:
        """As `claim`, for a lead that waited in the queue, which it leaves by the same commit; its first answer stays.

        Where nobody can take it nothing is stored, and it waits on. None where it is not ours any more.
        """

        async def work(connection: Connection) -> Prepared | PreparedLegs | Ended:
            if not await queue.leave(connection, post.post_id, epoch, post.ping_id):
                raise _NotOursError
            claimed = await _claim(connection, post, plans, render)
            if isinstance(claimed, Ended):
                raise _NotTakenError(claimed)
            await connection.execute("update posts set answer = $2 where post_id = $1", post.post_id, render(PENDING))
            return claimed

        try:
            done = await self._database.transact(work)
        except _NotOursError:
            return None
        except _NotTakenError as error:
            self._tell(post, plans)
            return NotTaken(error.ended.result.reason)
        except _NotClaimedError:
            done = await self._claimed_before(post)
        self._tell(post, plans)
        return done

    async def _claimed_before(self, post: NewPost) -> Prepared | PreparedLegs | Ended:
        """Where a post stands that a claim of our own, which was not confirmed, has begun."""
        find = legs.stands if post.legs else _stands
        stands = await self._database.run(lambda connection: find(connection, post))
        if stands is None:
            raise LookupError("a claim of our own has been taken over")
        return stands

    async def _claim_straight(self, post: NewPost, plan: Plan, timeout_s: float | None) -> Prepared | None:
        try:
            claimed_at = await steps.claim(self._database, post, plan, timeout_s=timeout_s)
        except RefusedByDatabase:
            return None
        self._tell(post, [plan])
        return Prepared(plan, claimed_at)

    async def conclude(
        self,
        post: NewPost,
        plan: Plan,
        delivery: Delivery,
        next_plans: Sequence[Plan],
        render: Render,
        *,
        still_listening: bool = False,
        told_by: datetime = AT_ANY_TIME,
    ) -> Prepared | Ended | None:
        """Commit 2. Moves a prepared attempt on; None where another has taken it over.

        May be repeated after a commit that was not confirmed: what that one did is then found. An attempt that is
        `still_listening` keeps its lease; any other unknown one is for others to resolve from now on. What is
        recorded after `told_by`, on the database's clock, is answered `pending`, for so was the seller told then.
        """
        effect = effect_of(AttemptState.PREPARED, state_after(delivery))

        async def work(connection: Connection) -> Prepared | Ended | None:
            if not await steps.move(connection, plan, delivery, keeps_lease=still_listening):
                return await _done_before(connection, post, plan)
            if effect is not Effect.RELEASE:
                return await steps.end(connection, post, PENDING, render)
            await holds.lock(connection, post, [plan, *next_plans])
            await holds.release(connection, post, plan)
            return await _go_on(connection, post, next_plans, render, reason_of(delivery))

        if isinstance(delivery, Accepted):
            return await self._sell(post, plan, delivery, render, told_by)
        done = None
        if effect is Effect.RELEASE:
            done = await self._step_down(post, plan, delivery, next_plans, render, told_by)
        if done is None:
            done = await self._database.transact(work)
        if effect is Effect.RELEASE:
            self._tell(post, [plan, *next_plans])
        return done

    async def conclude_leg(
        self,
        post: NewPost,
        plan: Plan,
        delivery: Delivery,
        reserve: Sequence[Plan],
        render: Render,
        *,
        still_listening: bool = False,
    ) -> Prepared | Ended | LegOver | None:
        """Commit 2 of one leg of a shared post; see `exchange.storage.legs.conclude`."""
        done = await legs.conclude(
            self._database, post, plan, delivery, reserve, render, still_listening=still_listening
        )
        if effect_of(AttemptState.PREPARED, state_after(delivery)) is Effect.RELEASE:
            self._tell(post, [plan, *reserve])
        return done

    async def _sell(
        self, post: NewPost, plan: Plan, delivery: Accepted, render: Render, by: datetime
    ) -> Prepared | Ended | None:
        sold = Result(PostState.ACCEPTED, Reason.ACCEPTED, delivery.redirect_url)
        telling = Telling(render(sold), render(PENDING), by)
        try:
            return Ended(sold, await steps.sell(self._database, post, plan, delivery, telling))
        except RefusedByDatabase:
            return await self._database.run(lambda connection: _done_before(connection, post, plan))

    async def _step_down(
        self, post: NewPost, plan: Plan, delivery: Delivery, next_plans: Sequence[Plan], render: Render, by: datetime
    ) -> Prepared | Ended | None:
        """Down the ladder in one call; None, and nothing done, where that cannot be."""
        ended = Result(PostState.REJECTED, reason_of(delivery))
        telling = Telling(render(ended), render(PENDING), by)
        following = next_plans[0] if next_plans else None
        try:
            done = await steps.step_down(self._database, post, plan, delivery, following, telling)
        except RefusedByDatabase:
            return None
        return Ended(ended, done) if isinstance(done, bytes) else Prepared(next_plans[0], done)

    async def resolve(self, plan: Plan, delivery: Accepted | Rejected | NotSent) -> Resolved | Unresolved:
        """Settles what was unknown by the answer to its own delivery; the first answer to the seller stays."""
        verdict = verdict_of(delivery, How.LATE_ANSWER)
        return await resolve(self._database, plan.attempt_id, verdict, epoch=plan.epoch)

    async def first_answer(self, post: NewPost, answer: bytes, render: Render, *, timeout_s: float) -> bytes:
        """The answer that is stored for a post; from now on that is `answer`, where there was none.

        For a shared post, of which some legs may have ended, it is what `render` makes of them at that moment.
        """
        if post.legs:
            return await legs.first_answer(self._database, post, render, timeout_s=timeout_s)
        query = "update posts set answer = coalesce(answer, $2) where post_id = $1 returning answer"
        stored: bytes | None = await self._database.run(
            lambda connection: connection.fetchval(query, post.post_id, answer), timeout_s=timeout_s
        )
        return answer if stored is None else stored

    def _tell(self, post: NewPost, plans: Sequence[Plan]) -> None:
        for counted in self._counted:
            counted(post, plans)

    async def find(self, post_id: UUID) -> RecordedPost | None:
        """What is true of a post now."""
        return await self._database.run(lambda connection: _find(connection, post_id))

    async def of_ping(self, ping_id: UUID) -> PostedBefore | None:
        """The post of a ping, if it has one."""
        return await self._database.run(lambda connection: _find_of_ping(connection, ping_id))


async def _claim(
    connection: Connection, post: NewPost, plans: Sequence[Plan], render: Render
) -> Prepared | PreparedLegs | Ended:
    if post.key is not None:
        taken = await idempotency.take(connection, post.key, post.post_id)
        if taken is not None:
            raise _NotClaimedError(taken)
    if not await steps.begin(connection, post):
        raise _NotClaimedError(await _posted_before(connection, post.ping_id))
    refused = await holds.admit(connection, post)
    if post.legs:
        if refused is not None:
            return await legs.end_at_once(connection, post, refused, render)
        return await legs.claim(connection, post, plans, render)
    if refused is not None:
        return await steps.end(connection, post, Result(PostState.REJECTED, refused), render)
    return await _go_on(connection, post, plans, render, Reason.OFFER_WITHDRAWN)


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
            return Prepared(plan, await steps.prepare(connection, post, plan))
    return await steps.end(connection, post, Result(PostState.REJECTED, otherwise), render)


async def _done_before(connection: Connection, post: NewPost, plan: Plan) -> Prepared | Ended | None:
    """What this gateway's own unconfirmed commit did; None where it was not this gateway that moved the attempt."""
    epoch = await connection.fetchval("select epoch from attempts where attempt_id = $1", plan.attempt_id)
    return await _stands(connection, post) if epoch == plan.epoch else None


async def _stands(connection: Connection, post: NewPost) -> Prepared | Ended | None:
    """Where a post stands: with an attempt that is prepared, or ended, with its answer; None where neither is so."""
    prepared = await connection.fetchrow(
        f"select {ATTEMPT} from attempts a join posts p using (post_id) "  # noqa: S608  # a constant
        "where a.post_id = $1 and a.state = 'prepared'",
        post.post_id,
    )
    if prepared is not None:
        return Prepared(plan_of(prepared))
    row = await connection.fetchrow(
        "select p.state, p.reason, p.answer, a.redirect_url from posts p "
        "left join attempts a on a.post_id = p.post_id and a.state = 'accepted' where p.post_id = $1",
        post.post_id,
    )
    if row is None or row["answer"] is None:
        return None
    return Ended(Result(PostState(row["state"]), Reason(row["reason"]), row["redirect_url"]), row["answer"])


async def _find(connection: Connection, post_id: UUID) -> RecordedPost | None:
    row = await connection.fetchrow(
        "select p.*, a.redirect_url, r.returned_at, r.returned_micros from posts p "
        "left join lateral (select redirect_url from attempts where post_id = p.post_id "
        "and state in ('accepted', 'presumed_accepted') limit 1) a on true "
        "left join lateral (select max(created_at) as returned_at, sum(payout_micros)::bigint as returned_micros "
        "from returns where post_id = p.post_id) r on true where p.post_id = $1",
        post_id,
    )
    if row is None:
        return None
    found = RecordedPost(
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
        returned=None if row["returned_at"] is None else Returned(row["returned_at"], row["returned_micros"]),
    )
    if not row["legs"]:
        return found
    made = standing.result_of(row["legs"], await standing.attempts_of(connection, post_id))
    return replace(found, state=made.state, reason=made.reason, redirect_url=made.redirect_url, legs=made.legs)
