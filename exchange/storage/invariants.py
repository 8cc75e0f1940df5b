"""What must always be true of the money, each as one query that returns the rows for which it is not."""

from dataclasses import dataclass

from exchange.storage.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant and how many rows break it: none, where it holds."""

    name: str
    broken: int


_BALANCE = (
    "coalesce((select sum(amount_micros) from transfers where credit_account = a.account_id), 0) "
    "- coalesce((select sum(amount_micros) from transfers where debit_account = a.account_id), 0)"
)
INVARIANTS = {
    "every carried balance is the sum of its transfers": (
        f"select 1 from accounts a where kind <> 'exchange' and balance_micros <> {_BALANCE}"  # noqa: S608  # a constant
    ),
    "the clearing account is empty": (
        f"select 1 from accounts a where kind = 'exchange' and owner = 'clearing' and {_BALANCE} <> 0"  # noqa: S608
    ),
    "every accepted attempt has its charge, payout and margin": (
        "select 1 from attempts t left join lateral (select "
        "coalesce(sum(amount_micros) filter (where kind = 'charge'), 0) as charge, "
        "coalesce(sum(amount_micros) filter (where kind = 'payout'), 0) as payout, "
        "coalesce(sum(amount_micros) filter (where kind = 'margin'), 0) as margin "
        "from transfers where attempt_id = t.attempt_id) m on true "
        "where t.state = 'accepted' and not t.test and (charge, payout, margin) "
        "<> (t.gross_micros, t.payout_micros, t.gross_micros - t.payout_micros)"
    ),
    "no money moved for an attempt that was not accepted": (
        "select 1 from transfers m join attempts t using (attempt_id) where t.state <> 'accepted' or t.test"
    ),
    "every hold belongs to a live attempt": (
        "select 1 from accounts a where kind = 'buyer' and held_micros <> coalesce((select sum(gross_micros) "
        "from attempts t where t.buyer = a.owner and t.currency = a.currency and not t.test "
        "and t.state in ('prepared', 'unknown')), 0)"
    ),
    "no lead was accepted twice": (
        "select 1 from attempts where exclusive and state in ('accepted', 'presumed_accepted') "
        "group by post_id having count(*) > 1"
    ),
    "no ping lies outside its day": "select 1 from pings_default",
}


async def check(database: Database) -> list[Finding]:
    """Checks all invariants in one snapshot."""

    async def work(connection: Connection) -> list[Finding]:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return [
                Finding(name, await connection.fetchval(f"select count(*) from ({query}) as broken"))  # noqa: S608
                for name, query in INVARIANTS.items()
            ]

    return await database.run(work, timeout_s=300)
