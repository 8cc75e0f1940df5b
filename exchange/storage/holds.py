"""What an attempt takes before it is sent: people, caps, budgets and balance, held at the claim, all or nothing.

Then it is settled or released, never both. What is taken, and when it would be too much, is decided in Postgres by the
functions of the migrations. A test takes nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from exchange.observe import metrics
from exchange.rules.caps import AnyCap
from exchange.rules.limits import rows_of
from exchange.storage import accounts
from exchange.storage.accounts import Amounts
from exchange.storage.database import Connection
from exchange.storage.posts import ATTEMPT_WIDTH, POST_WIDTH, NewPost, Plan, attempt_row, post_row
from exchange.storage.rows import row
from exchange.values.reason import Reason

LIMITS = """
array(
    select (scope, subject, period, starts_at, ends_at, leads_max, amount_max)::cap_limit
    from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::integer[], $7::bigint[])
        as windows (scope, subject, period, starts_at, ends_at, leads_max, amount_max)
    where starts_at <= now() and now() < ends_at
)"""
"""What `windows` gives, as $1 to $7: the limits that hold now, by the database's own time."""
_HOLD = (
    f"select hold_attempt({row('new_post', 8, POST_WIDTH)}, {row('new_attempt', 20, ATTEMPT_WIDTH)}, "
    f"{LIMITS}, $27, $28, $29)"
)
_LOCK = f"select lock_attempts($8, $9, $10, $11, $12, $13, {LIMITS}, $14)"

_Arrays = tuple[list[object], ...]


async def admit(connection: Connection, post: NewPost) -> Reason | None:
    """Why nobody may have this lead, or None: a person whom the campaign has sold already is a duplicate.

    Locks the person, so that what is found stays true to the end of the transaction.
    """
    if post.test or post.duplicate_days is None or not post.people:
        return None
    admitted = await connection.fetchval(
        "select admit_people($1, $2, $3, $4)", post.people, post.campaign, post.post_id, post.duplicate_days
    )
    if admitted:
        return None
    metrics.CLAIMS_REFUSED.add((post.campaign, Reason.DUPLICATE.wire_name))
    return Reason.DUPLICATE


async def lock(connection: Connection, post: NewPost, plans: Sequence[Plan]) -> None:
    """Locks what these attempts may change, in one order for everybody, where that is more than one of them's."""
    if len(plans) < 2 or post.test:
        return
    caps = [cap for plan in plans for cap in plan.caps]
    await connection.execute(
        _LOCK,
        *windows([*post.caps, *caps]),
        [plan.attempt_id for plan in plans],
        [plan.order for plan in plans],
        [plan.buyer for plan in plans],
        post.seller,
        post.campaign,
        post.currency,
        post.people,
    )


async def hold(connection: Connection, post: NewPost, plan: Plan) -> bool:
    """Takes what an attempt needs; False, and nothing taken, where its order cannot have the lead now."""
    return await refusal(connection, post, plan) is None


async def refusal(connection: Connection, post: NewPost, plan: Plan) -> Reason | None:
    """As `hold`, but says why not."""
    if post.test:
        return None
    found = await connection.fetchval(
        _HOLD,
        *windows([*post.caps, *plan.caps]),
        *post_row(post),
        *attempt_row(plan),
        post.people,
        post.duplicate_days,
        plan.duplicate_days,
    )
    if found is None:
        return None
    reason = Reason(found)
    metrics.CLAIMS_REFUSED.add((post.campaign, reason.wire_name))
    return reason


async def settle(connection: Connection, post: NewPost, plan: Plan) -> None:
    """Turns what was held into a sale."""
    if not post.test:
        amounts = Amounts(plan.buyer, post.seller, post.currency, plan.gross_micros, post.payout_micros)
        await accounts.settle(connection, plan.attempt_id, amounts)


async def release(connection: Connection, post: NewPost, plan: Plan) -> None:
    """Gives what was held back, to the windows that it was taken from. The attempt's row is moved on before."""
    if not post.test:
        await uncount(connection, post, plan)
        await accounts.release(connection, plan.buyer, post.currency, plan.gross_micros)


async def uncount(connection: Connection, post: NewPost, plan: Plan) -> None:
    """Takes an attempt that is no sale any more out of caps, budgets and duplicates; money is another matter."""
    if not post.test:
        await connection.execute("select uncount_attempt($1)", plan.attempt_id)


async def count_again(connection: Connection, post: NewPost, plan: Plan) -> None:
    """Counts an attempt that was released and turned out to be a sale; no limit refuses what has happened."""
    if not post.test:
        await connection.execute("select count_attempt_again($1)", plan.attempt_id)


def windows(caps: Iterable[AnyCap]) -> _Arrays:
    """Each limit in the windows round now, column by column; the database picks those that hold its own time."""
    now = datetime.now(UTC).replace(second=0, microsecond=0)  # for a minute they are the same
    rows = dict.fromkeys(row for cap in caps for row in rows_of(cap, now))
    return tuple([row[column] for row in rows] for column in range(7))
