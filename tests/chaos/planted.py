"""Bugs that a test plants into a process of the exchange: each is one that a seller of leads has had."""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import asyncpg

import exchange.api.sellers
import exchange.post
import exchange.repeats
import exchange.storage.accounts
import exchange.storage.holds
import exchange.storage.sales
import exchange.storage.steps
from chaos.killed_gateway import at_commit, die, step_by_step, under_way, within
from exchange.buyers.delivery import Courier
from exchange.errors import StorageUnavailable
from exchange.ledger.transfers import sale
from exchange.post import Posts
from exchange.rules.attempts import AttemptState, Effect, effect_of, state_after
from exchange.storage.database import Connection, Database
from exchange.storage.flushes import Mark
from exchange.storage.posts import NewPost, Plan, PostState, Result
from exchange.storage.sales import Sales
from exchange.values.bid import Accepted, Rejected, Unknown
from exchange.values.reason import Reason


def goes_on_after_unknown() -> None:
    """Believes that the ladder may go on; only the unique index on live attempts stands against it."""

    def effect(before: AttemptState, after: AttemptState) -> Effect:
        return Effect.RELEASE if after is AttemptState.UNKNOWN else effect_of(before, after)

    setattr(exchange.storage.sales, "effect_of", effect)  # noqa: B010  # a name that it imports


def hold_released_on_timeout() -> None:
    original = Sales.conclude

    async def conclude(
        self: Sales, post: NewPost, plan: Plan, delivery: Any, next_plans: Sequence[Plan], render: Any, **keywords: Any
    ) -> Any:
        done = await original(self, post, plan, delivery, next_plans, render, **keywords)
        if isinstance(delivery, Unknown):
            await self._database.run(
                lambda connection: exchange.storage.accounts.release(
                    connection, plan.buyer, post.currency, plan.gross_micros
                )
            )
        return done

    Sales.conclude = conclude  # type: ignore[method-assign]


def answer_before_commit() -> None:
    original = Posts._conclude

    async def conclude(self: Posts, sale: Any, plan: Plan, delivery: Any, answer: Any, told_by: Any) -> Any:
        if isinstance(delivery, Accepted) and not answer.done():
            answer.set_result(sale.render(Result(PostState.ACCEPTED, Reason.ACCEPTED)))
            await asyncio.sleep(1)
        return await original(self, sale, plan, delivery, answer, told_by)

    Posts._conclude = conclude  # type: ignore[method-assign]


def told_before_it_is_durable() -> None:
    """Takes a commit that does not wait for the disk for one that does."""

    async def at_once(self: Database, work: Any, held: list[Connection]) -> Any:
        return await self._with_connection(work, held)

    Database._durably = at_once  # type: ignore[method-assign]


def resent_blindly() -> None:
    original = Courier.deliver

    async def deliver(*arguments: Any, **keywords: Any) -> Any:
        said = await original(*arguments, **keywords)
        return await original(*arguments, **keywords) if isinstance(said, Unknown) else said

    Courier.deliver = deliver  # type: ignore[method-assign]


def unknown_is_rejected() -> None:
    original = Sales.conclude

    async def conclude(self: Sales, post: NewPost, plan: Plan, delivery: Any, *rest: Any, **keywords: Any) -> Any:
        said = Rejected(Reason.REJECTED_BY_BUYER) if isinstance(delivery, Unknown) else delivery
        return await original(self, post, plan, said, *rest, **keywords)

    Sales.conclude = conclude  # type: ignore[method-assign]


def cap_counted_after_the_sale() -> None:
    refusal, sell = exchange.storage.holds.refusal, exchange.storage.steps.sell
    add = "select add_to_caps($1, $2, $3, now(), $4, $5)"

    async def take(connection: Any, post: NewPost, plan: Plan) -> Reason | None:
        refused = await refusal(connection, post, plan)
        if refused is None:
            await connection.execute(add, plan.order, post.seller, post.campaign, -1, -plan.gross_micros)
        return refused

    async def sold(database: Database, post: NewPost, plan: Plan, *rest: Any) -> bytes:
        told = await sell(database, post, plan, *rest)
        await database.call(add, plan.order, post.seller, post.campaign, 1, plan.gross_micros)
        return told

    step_by_step()
    exchange.storage.holds.refusal = take
    setattr(exchange.storage.steps, "sell", sold)  # noqa: B010  # of another type


def charge_without_payout() -> None:
    setattr(exchange.storage.accounts, "sale", lambda amounts: sale(amounts)[:1])  # noqa: B010  # a name that it imports


def key_ignored() -> None:
    setattr(exchange.api.sellers, "request_key", lambda *_: None)  # noqa: B010  # a name that it imports


def late_write_accepted() -> None:
    original = exchange.storage.steps.move

    async def move(connection: Any, plan: Plan, delivery: Any, *, keeps_lease: bool) -> bool:
        row = await connection.fetchrow("select state, epoch from attempts where attempt_id = $1", plan.attempt_id)
        if row["state"] != "unknown":
            return await original(connection, plan, delivery, keeps_lease=keeps_lease)
        await connection.execute(
            "update attempts set state = $2, reason = 504 where attempt_id = $1",
            plan.attempt_id,
            state_after(delivery).value,
        )
        return True

    exchange.storage.steps.move = move


def fingerprints_skipped() -> None:
    plan = Posts._plan

    def without(self: Posts, request: Any) -> Any:
        sale = plan(self, request)
        return replace(sale, post=replace(sale.post, people=()))

    Posts._plan = without  # type: ignore[method-assign]


def frozen_before_it_sends() -> None:
    """No bug: a gateway that the system does not let run, once, at the worst of moments."""
    original, frozen = Courier.deliver, list[bool]()

    async def deliver(*arguments: Any, **keywords: Any) -> Any:
        if not frozen:
            frozen.append(True)
            os.kill(os.getpid(), signal.SIGSTOP)
        return await original(*arguments, **keywords)

    Courier.deliver = deliver  # type: ignore[method-assign]


def frozen_in_its_claim() -> None:
    """No bug: a gateway that the system does not let run while it has locks."""
    step_by_step()
    within(Sales, "claim")
    at_commit("claim", lambda: os.kill(os.getpid(), signal.SIGSTOP), sent=False)


def stopped_before_a_sale_is_durable() -> None:
    """No bug: a gateway that the system does not let run when it has committed a sale, before that is on disk."""
    within(Sales, "conclude")
    original = Database._with_connection

    async def worked(self: Database, work: Any, held: list[Connection], mark: Mark | None = None) -> Any:
        done = await original(self, work, held, mark)
        if under_way() == "conclude":
            os.kill(os.getpid(), signal.SIGSTOP)
        return done

    Database._with_connection = worked  # type: ignore[method-assign]


def _lose() -> None:
    raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


def claim_not_confirmed() -> None:
    """No bug: the connection is lost when the claim has been committed and its gateway does not know."""
    within(Sales, "claim")
    at_commit("claim", _lose, sent=True)


def outcome_not_confirmed() -> None:
    """No bug: the same, when an outcome has been committed."""
    within(Sales, "conclude")
    at_commit("conclude", _lose, sent=True)


def confirmed_late() -> None:
    """No bug: an outcome is committed, and the network takes two seconds to say so."""
    original = Sales.conclude

    async def conclude(*arguments: Any, **keywords: Any) -> Any:
        done = await original(*arguments, **keywords)
        await asyncio.sleep(2)
        return done

    Sales.conclude = conclude  # type: ignore[method-assign]


def claims_never_confirmed() -> None:
    """No bug: what is claimed is committed, and never confirmed."""
    original = Sales.claim

    async def claim(*arguments: Any, **keywords: Any) -> Any:
        await original(*arguments, **keywords)
        raise StorageUnavailable("the confirmation was lost")

    Sales.claim = claim  # type: ignore[method-assign]


def dies_before_it_withdraws() -> None:
    """No bug: a gateway that is killed when it has answered 503, and has not taken its claim back."""

    async def never(*_: Any) -> Any:
        await asyncio.sleep(0.2)  # the seller has his answer
        die()

    setattr(exchange.repeats, "withdraw", never)  # noqa: B010  # a name that it imports


def freezes_before_it_refuses() -> None:
    """No bug: a gateway that the system does not let run between a claim and its 503."""
    original = Posts._refuse

    def refuse(self: Posts, sale: Any) -> bytes:
        os.kill(os.getpid(), signal.SIGSTOP)
        return original(self, sale)

    Posts._refuse = refuse  # type: ignore[method-assign]


def cut_off_when_it_tells() -> None:
    """No bug: an outcome is committed, its gateway does not hear of it, nor of anything else, and is killed."""
    original = Sales.conclude

    async def conclude(*arguments: Any, **keywords: Any) -> Any:
        await original(*arguments, **keywords)
        await asyncio.sleep(2)
        die()

    async def unreachable(*_: Any, **__: Any) -> Any:
        raise StorageUnavailable("cut off")

    Sales.conclude, Sales.first_answer = conclude, unreachable  # type: ignore[method-assign]


BUGS: Mapping[str, Callable[[], None]] = {
    "goes_on_after_unknown": goes_on_after_unknown,
    "hold_released_on_timeout": hold_released_on_timeout,
    "answer_before_commit": answer_before_commit,
    "told_before_it_is_durable": told_before_it_is_durable,
    "resent_blindly": resent_blindly,
    "unknown_is_rejected": unknown_is_rejected,
    "cap_counted_after_the_sale": cap_counted_after_the_sale,
    "charge_without_payout": charge_without_payout,
    "key_ignored": key_ignored,
    "late_write_accepted": late_write_accepted,
    "fingerprints_skipped": fingerprints_skipped,
    "frozen_before_it_sends": frozen_before_it_sends,
    "frozen_in_its_claim": frozen_in_its_claim,
    "stopped_before_a_sale_is_durable": stopped_before_a_sale_is_durable,
    "claim_not_confirmed": claim_not_confirmed,
    "outcome_not_confirmed": outcome_not_confirmed,
    "confirmed_late": confirmed_late,
    "claims_never_confirmed": claims_never_confirmed,
    "dies_before_it_withdraws": dies_before_it_withdraws,
    "freezes_before_it_refuses": freezes_before_it_refuses,
    "cut_off_when_it_tells": cut_off_when_it_tells,
}
