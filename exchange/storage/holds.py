"""What an attempt takes of its buyer before it is sent: held at the claim, then settled or released, never both.

Each is a few statements inside a caller's transaction. A test takes nothing.
"""

from collections.abc import Sequence

from exchange.storage import accounts
from exchange.storage.accounts import Amounts
from exchange.storage.database import Connection
from exchange.storage.posts import NewPost, Plan


async def lock(connection: Connection, post: NewPost, plans: Sequence[Plan]) -> None:
    """Locks what these attempts may change, in one order for everybody, where that is more than one of them's."""
    if len(plans) > 1 and not post.test:
        await accounts.lock_buyers(connection, {plan.buyer for plan in plans}, post.currency)


async def hold(connection: Connection, post: NewPost, plan: Plan) -> bool:
    """Takes what an attempt needs; False, and nothing taken, where its buyer cannot have the lead now."""
    return post.test or await accounts.hold(connection, plan.buyer, post.currency, plan.gross_micros)


async def settle(connection: Connection, post: NewPost, plan: Plan) -> None:
    """Turns what was held into a sale."""
    if not post.test:
        amounts = Amounts(plan.buyer, post.seller, post.currency, plan.gross_micros, post.payout_micros)
        await accounts.settle(connection, plan.attempt_id, amounts)


async def release(connection: Connection, post: NewPost, plan: Plan) -> None:
    """Gives what was held back."""
    if not post.test:
        await accounts.release(connection, plan.buyer, post.currency, plan.gross_micros)
