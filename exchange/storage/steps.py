"""The steps of a post, each a function of migration 0005, and the straight way: claim and sale, each in one call.

What cannot go straight is refused, changes nothing, and goes step by step (`exchange.storage.sales`).
"""

from datetime import datetime
from typing import NamedTuple

from exchange.rules.attempts import reason_of, state_after
from exchange.storage import accounts, holds, idempotency
from exchange.storage.database import Connection, Database
from exchange.storage.idempotency import KEY_WIDTH
from exchange.storage.posts import (
    ATTEMPT_WIDTH,
    POST_WIDTH,
    Ended,
    NewPost,
    Plan,
    Render,
    Result,
    attempt_row,
    post_row,
)
from exchange.storage.rows import row
from exchange.storage.verdicts import amounts_of
from exchange.values.bid import Accepted, Delivery

_OUTCOME_WIDTH = 5

_BEGIN = f"select begin_post({row('new_post', 1, POST_WIDTH)})"
_PREPARE = f"select prepare_attempt({row('new_attempt', 1, ATTEMPT_WIDTH)}, {row('new_post', 8, POST_WIDTH)})"
_BEGIN_SHARED = f"select begin_shared_post({row('new_post', 1, POST_WIDTH)}, $13)"
_PREPARE_SHARE = f"select prepare_share({row('new_attempt', 1, ATTEMPT_WIDTH)}, {row('new_post', 8, POST_WIDTH)}, $20)"
_MOVE = f"select move_attempt($1, $2, {row('outcome', 3, _OUTCOME_WIDTH)}, $8)"
_END = "select end_post($1, $2, $3, $4)"
_CLAIM = (
    f"select claim_post({row('request_key', 8, KEY_WIDTH)}, {row('new_post', 13, POST_WIDTH)}, "
    f"{row('new_attempt', 25, ATTEMPT_WIDTH)}, {holds.LIMITS}, $32, $33, $34)"
)
_SELL = (
    f"select sell($1, $2, {row('outcome', 3, _OUTCOME_WIDTH)}, $8, $9, $10, $11, "
    "$12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)"
)
_STEP_DOWN = (
    f"select * from step_down($8, $9, {row('outcome', 10, _OUTCOME_WIDTH)}, $15, $16, $17, "  # noqa: S608  # constants
    f"{row('new_post', 18, POST_WIDTH)}, {row('new_attempt', 30, ATTEMPT_WIDTH)}, "
    f"{row('new_attempt', 37, ATTEMPT_WIDTH)}, {holds.LIMITS}, $44, $45, $46)"
)
_NOTHING_MOVES = (None,) * 12
_NO_ATTEMPT = (None,) * ATTEMPT_WIDTH


class Telling(NamedTuple):
    """What a seller is told who is told before `by`, on the database's clock, and from then on."""

    answer: bytes
    late: bytes
    by: datetime


async def claim(database: Database, post: NewPost, plan: Plan, *, timeout_s: float | None = None) -> datetime:
    """Claims an offer, under its key if it has one, and prepares its first attempt; the time on the database's clock.

    Raises RefusedByDatabase where that cannot be, and nothing is done. It commits by itself, so that nobody waits for
    this process: a claim that is given up may be committed later, unless it is withdrawn.
    """
    claimed_at: datetime = await database.call(
        _CLAIM,
        *holds.windows(() if post.test else (*post.caps, *plan.caps)),
        *idempotency.key_row(post.key),
        *post_row(post),
        *attempt_row(plan),
        post.people,
        post.duplicate_days,
        plan.duplicate_days,
        timeout_s=timeout_s,
    )
    return claimed_at


async def sell(database: Database, post: NewPost, plan: Plan, delivery: Accepted, telling: Telling) -> bytes:
    """Makes a prepared attempt a sale; what its seller is told. Raises RefusedByDatabase where it is not prepared.

    It commits by itself: where that is not confirmed, it is found by trying again. A call that was given up, or that a
    frozen server reads late, is committed after the seller had to be told: hence the second answer.
    """
    told: bytes = await database.call(
        _SELL,
        plan.attempt_id,
        plan.epoch,
        *_outcome(delivery),
        post.post_id,
        *telling,
        *(_NOTHING_MOVES if post.test else accounts.settling(amounts_of(post, plan))),
    )
    return told


async def step_down(
    database: Database, post: NewPost, plan: Plan, delivery: Delivery, following: Plan | None, telling: Telling
) -> datetime | bytes:
    """Gives back what an attempt held that came to nothing, and prepares the following one in time, or ends the post.

    When that was, on the database's clock, or what the seller is told. Raises RefusedByDatabase where it is not
    prepared, or the following order cannot have the lead; nothing is done then. Commits as `sell` does.
    """
    caps = () if post.test or following is None else (*post.caps, *following.caps)
    found = await database.run(
        lambda connection: connection.fetchrow(
            _STEP_DOWN,
            *holds.windows(caps),
            plan.attempt_id,
            plan.epoch,
            *_outcome(delivery),
            *telling,
            *post_row(post),
            *attempt_row(plan),
            *(_NO_ATTEMPT if following is None else attempt_row(following)),
            post.people,
            post.duplicate_days,
            following and following.duplicate_days,
        )
    )
    done: datetime | bytes = found["prepared_at"] or found["told"]  # type: ignore[index]  # it returns one row, always
    return done


async def begin(connection: Connection, post: NewPost) -> bool:
    """Uses an offer up; False where its ping has a post already."""
    if post.legs:
        begun: bool = await connection.fetchval(_BEGIN_SHARED, *post_row(post), post.legs)
    else:
        begun = await connection.fetchval(_BEGIN, *post_row(post))
    return begun


async def prepare(connection: Connection, post: NewPost, plan: Plan) -> datetime:
    """Writes down what is about to be sent, with all that it needs held before; the time on the database's clock."""
    if plan.leg:
        shared = *attempt_row(plan), *post_row(post.of_leg(plan)), plan.leg
        prepared_at: datetime = await connection.fetchval(_PREPARE_SHARE, *shared)
    else:
        prepared_at = await connection.fetchval(_PREPARE, *attempt_row(plan), *post_row(post))
    return prepared_at


async def move(connection: Connection, plan: Plan, delivery: Delivery, *, keeps_lease: bool) -> bool:
    """Compare-and-set of a prepared attempt's state; the row stays locked to the end of the transaction."""
    moved: bool = await connection.fetchval(_MOVE, plan.attempt_id, plan.epoch, *_outcome(delivery), keeps_lease)
    return moved


async def end(connection: Connection, post: NewPost, result: Result, render: Render) -> Ended:
    """Ends a post, or lets it wait for what is unknown; the first answer that was stored is the one that is told."""
    answer = await connection.fetchval(_END, post.post_id, result.state.value, int(result.reason), render(result))
    return Ended(result, answer)


def _outcome(delivery: Delivery) -> tuple[object, ...]:
    """The columns of the type `outcome`."""
    said = (state_after(delivery).value, int(reason_of(delivery)))
    if isinstance(delivery, Accepted):
        return *said, "", delivery.reference, delivery.redirect_url
    return *said, delivery.detail, None, None
