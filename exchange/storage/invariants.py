"""What must always be true of the money, each as one query that returns the rows for which it is not."""

from dataclasses import dataclass

from exchange.storage import counts
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
_SOLD = "('accepted', 'presumed_accepted')"
_MOVED = """
    left join lateral (
        select coalesce(sum(amount_micros) filter (where kind = 'charge'), 0) as charge,
            coalesce(sum(amount_micros) filter (where kind = 'payout'), 0) as payout,
            coalesce(sum(amount_micros) filter (where kind = 'margin'), 0) as margin,
            coalesce(sum(amount_micros) filter (where kind = 'correction_charge'), 0) as charge_back,
            coalesce(sum(amount_micros) filter (where kind = 'correction_payout'), 0) as payout_back,
            coalesce(sum(amount_micros) filter (where kind = 'correction_margin'), 0) as margin_back,
            coalesce(sum(amount_micros) filter (where kind = 'return_charge'), 0) as charge_returned,
            coalesce(sum(amount_micros) filter (where kind = 'return_payout'), 0) as payout_returned,
            coalesce(sum(amount_micros) filter (where kind = 'return_margin'), 0) as margin_returned
        from transfers where attempt_id = t.attempt_id
    ) m on true"""
INVARIANTS = {
    "every buyer's balance is the sum of its transfers": (
        f"select 1 from accounts a where kind = 'buyer' and balance_micros <> {_BALANCE}"  # noqa: S608  # a constant
    ),
    "the clearing account is empty": (
        f"select 1 from accounts a where kind = 'exchange' and owner = 'clearing' and {_BALANCE} <> 0"  # noqa: S608
    ),
    "every sale has its charge, payout and margin": (
        f"select 1 from attempts t {_MOVED} where t.state in {_SOLD} and not t.test and (charge, payout, margin) "  # noqa: S608
        "<> (t.gross_micros, t.payout_micros, t.gross_micros - t.payout_micros)"
    ),
    "no money moved for an attempt that is no sale": (
        f"select 1 from attempts t {_MOVED} where (t.state not in {_SOLD} or t.test) and (charge, payout, margin) "  # noqa: S608
        "<> (charge_back, payout_back, margin_back)"
    ),
    "every hold belongs to a live attempt": (
        "select 1 from accounts a where kind = 'buyer' and held_micros <> coalesce((select sum(gross_micros) "
        "from attempts t where t.buyer = a.owner and t.currency = a.currency and not t.test "
        "and t.state in ('prepared', 'unknown')), 0)"
    ),
    "no lead was accepted twice": (
        f"select 1 from attempts where exclusive and state in {_SOLD} group by post_id having count(*) > 1"  # noqa: S608
    ),
    "no buyer and no leg has a shared lead twice": (
        "select 1 from attempts where not exclusive and is_live(state) group by post_id, leg having count(*) > 1 "
        "union all "
        "select 1 from attempts where not exclusive and is_live(state) group by post_id, buyer having count(*) > 1"
    ),
    "every attempt pays what its post, or its leg, was promised": (
        "select 1 from attempts a join posts p using (post_id) where a.exclusive <> (p.legs is null) "
        "or a.payout_micros is distinct from case when a.exclusive then p.payout_micros else p.legs[a.leg] end"
    ),
    "every shared post was promised the sum of its legs": (
        "select 1 from posts p where p.legs is not null "
        "and p.payout_micros <> (select sum(micros) from unnest(p.legs) as micros)"
    ),
    "no ping lies outside its day": "select 1 from pings_default",
    "no sale was corrected that stands": (
        f"select 1 from attempts t {_MOVED} where t.state in {_SOLD} "  # noqa: S608
        "and (charge_back, payout_back, margin_back) <> (0, 0, 0)"
    ),
    "every return gives back its sale, and nothing else does": (
        f"select 1 from attempts t {_MOVED} left join returns r using (attempt_id) "  # noqa: S608
        "where (charge_returned, payout_returned, margin_returned) <> (coalesce(r.gross_micros, 0), "
        "coalesce(r.payout_micros, 0), coalesce(r.gross_micros - r.payout_micros, 0)) "
        f"or r.attempt_id is not null and (t.test or t.state not in {_SOLD} "
        "or (r.gross_micros, r.payout_micros) <> (t.gross_micros, t.payout_micros))"
    ),
    "the money of a sale is its own buyer's and seller's": (
        "select 1 from transfers m join attempts t using (attempt_id) join posts p using (post_id) "
        "join accounts d on d.account_id = m.debit_account join accounts c on c.account_id = m.credit_account "
        "where (d.kind = 'buyer' and d.owner <> t.buyer) or (c.kind = 'buyer' and c.owner <> t.buyer) "
        "or (d.kind = 'seller' and d.owner <> p.seller) or (c.kind = 'seller' and c.owner <> p.seller)"
    ),
    "every presumption and correction is on record": (
        "select 1 from attempts t left join lateral (select state_after, how from resolutions r "
        "where r.attempt_id = t.attempt_id order by resolution_id desc limit 1) last on true "
        "where (last.state_after is not null and last.state_after <> t.state) "
        "or (t.state in ('presumed_accepted', 'presumed_rejected') and last.how is distinct from 'presumption')"
    ),
    "every lead that left the queue is a post, and no other is": (
        "select 1 from queued_leads q left join posts p using (post_id) "
        "where (q.state = 'posted') <> (p.post_id is not null)"
    ),
    **counts.INVARIANTS,
    "every post is what its attempts make it": (
        "select 1 from posts p left join lateral (select "  # noqa: S608
        f"bool_or(state in {_SOLD}) as is_sold, bool_or(state = 'unknown') as is_unknown, "
        "bool_or(state = 'prepared') as is_prepared from attempts t where t.post_id = p.post_id) m on true "
        "where p.state <> case when is_prepared then 'in_progress' when is_unknown then 'pending' "
        "when is_sold then 'accepted' else 'rejected' end"
    ),
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
