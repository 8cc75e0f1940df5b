"""Verdicts: what became of an attempt that was unknown, or presumed, and the money that moves with it."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from exchange.rules.attempts import SOLD, AttemptState, Effect, effect_of, may_become, presumed, reason_of, state_after
from exchange.storage import accounts, holds, standing
from exchange.storage.accounts import Amounts
from exchange.storage.database import Connection, Database
from exchange.storage.posts import ATTEMPT, NewPost, Plan, PostState, plan_of, post_of
from exchange.values.bid import Accepted, NotSent, Rejected
from exchange.values.market import Presumption
from exchange.values.reason import Reason

_SETTLE = """
update attempts a set state = $2, reason = $3, detail = $4, resolved_at = now(), epoch = epoch + 1,
    reference = case when p.erased_at is null then coalesce($5, reference) end,
    redirect_url = case when p.erased_at is null then coalesce($6, redirect_url) end,
    bid_id = case when p.erased_at is null then bid_id end
from posts p where p.post_id = a.post_id and a.attempt_id = $1"""
"""Of a lead that was erased nothing is kept that the buyer says of it."""


class How(StrEnum):
    """How it became known what an attempt came to."""

    LATE_ANSWER = "late_answer"
    RESEND = "resend"
    STATUS = "status"
    OPERATOR = "operator"
    PRESUMPTION = "presumption"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an attempt. `note` is kept with it, and shown to operators only."""

    state: AttemptState
    reason: Reason
    how: How
    note: str = ""
    reference: str | None = None
    redirect_url: str | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """An attempt that a verdict changed, with the state before it, and what its post is since."""

    before: AttemptState
    verdict: Verdict
    post: NewPost
    plan: Plan
    state: PostState

    @property
    def is_sale(self) -> bool:
        """Whether the verdict made a sale of what was none."""
        return self.verdict.state in SOLD and self.before not in SOLD


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Why a verdict changed nothing."""

    why: str


def verdict_of(delivery: Accepted | Rejected | NotSent, how: How, note: str = "") -> Verdict:
    """The verdict of a buyer's clear word."""
    state, reason = state_after(delivery), reason_of(delivery)
    if isinstance(delivery, Accepted):
        return Verdict(state, reason, how, note, delivery.reference, delivery.redirect_url)
    return Verdict(state, reason, how, note or delivery.detail)


def verdict_by(presumption: Presumption, note: str) -> Verdict:
    """The verdict of the contract with a silent buyer."""
    state, reason = presumed(presumption)
    return Verdict(state, reason, How.PRESUMPTION, note)


async def resolve(
    database: Database, attempt_id: UUID, verdict: Verdict, *, epoch: int | None
) -> Resolved | Unresolved:
    """Changes an attempt by a verdict, moves the money, and lets its post follow; the first answer stays as it was.

    `epoch` is the one under which the attempt was taken: where another has taken it since, nothing changes. An
    operator's word, with None, holds in any epoch, and ends that of whoever has the attempt.
    """

    async def work(connection: Connection) -> Resolved | Unresolved:
        row = await connection.fetchrow(
            f"select {ATTEMPT}, exists (select from returns r where r.attempt_id = a.attempt_id) as is_returned "  # noqa: S608  # a constant
            "from attempts a join posts p using (post_id) where a.attempt_id = $1 for update of a",
            attempt_id,
        )
        if row is None:
            return Unresolved("there is no such attempt")
        before = AttemptState(row["state"])
        if epoch not in {None, row["epoch"]}:
            return Unresolved("another has taken it over")
        if before is AttemptState.PREPARED or not may_become(before, verdict.state):
            return Unresolved(f"it is {before}")
        effect = effect_of(before, verdict.state)
        if effect is Effect.REFUND and row["is_returned"]:
            return Unresolved("its sale was returned: there is nothing left to correct")
        state = PostState.ACCEPTED if verdict.state in SOLD else PostState.REJECTED
        found = Resolved(before, verdict, post_of(row), plan_of(row), state)
        found = await _change(connection, found)
        await _move_money(connection, found, effect)
        return found

    return await database.transact(work)


async def _change(connection: Connection, found: Resolved) -> Resolved:
    verdict, attempt_id = found.verdict, found.plan.attempt_id
    await connection.execute(
        _SETTLE,
        attempt_id,
        verdict.state.value,
        int(verdict.reason),
        verdict.note,
        verdict.reference,
        verdict.redirect_url,
    )
    if found.post.legs:
        result = await standing.let_stand(connection, found.post.post_id, found.post.legs)
        found = replace(found, state=result.state)
    else:
        await connection.execute(
            "update posts set state = $2, reason = $3, finished_at = now() where post_id = $1",
            found.post.post_id,
            found.state.value,
            int(verdict.reason),
        )
    await connection.execute(
        "insert into resolutions (attempt_id, state_before, state_after, how, note) values ($1, $2, $3, $4, $5)",
        attempt_id,
        found.before.value,
        verdict.state.value,
        verdict.how.value,
        verdict.note,
    )
    return found


async def _move_money(connection: Connection, found: Resolved, effect: Effect) -> None:
    post, plan = found.post, found.plan
    match effect:
        case Effect.SETTLE:
            await holds.settle(connection, post, plan)
        case Effect.RELEASE:
            await holds.release(connection, post, plan)
        case Effect.CHARGE:
            if not post.test:
                await holds.count_again(connection, post, plan)
                await accounts.charge(connection, plan.attempt_id, amounts_of(post, plan))
        case Effect.REFUND:
            if not post.test:
                await holds.uncount(connection, post, plan)
                await accounts.refund(connection, plan.attempt_id, amounts_of(post, plan), found.verdict.note)
        case Effect.KEEP:
            return
        case _:
            assert_never(effect)


def amounts_of(post: NewPost, plan: Plan) -> Amounts:
    """What the sale of an attempt moves."""
    return Amounts(plan.buyer, post.seller, post.currency, plan.gross_micros, post.payout_micros)
