"""The third witness: everything that the exchange recorded of a run, read in one snapshot, as plain values."""

from dataclasses import dataclass

from exchange.simulation.books import AttemptRow, PingRow, PostRow, TransferRow
from exchange.simulation.books import Books as MoneyBooks
from exchange.storage.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Ping:
    """A recorded ping. `at` is in seconds since the epoch, as everywhere here."""

    ping_id: str
    seller: str
    campaign: str
    status: str
    reason: int | None
    payout_micros: int | None


@dataclass(frozen=True, slots=True)
class Post:
    """A recorded post, with the answer that is kept for it."""

    post_id: str
    ping_id: str
    seller: str
    campaign: str
    state: str
    test: bool
    payout_micros: int
    answer: str | None
    at: float


@dataclass(frozen=True, slots=True)
class Queued:
    """A lead that waits for a buyer, or did: `state` is waiting, posted or ended. Its post has the same id."""

    post_id: str
    ping_id: str
    seller: str
    state: str
    answer: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """A recorded delivery."""

    attempt_id: str
    post_id: str
    ping_id: str
    order: str
    buyer: str
    state: str
    test: bool
    exclusive: bool
    gross_micros: int
    payout_micros: int
    at: float


@dataclass(frozen=True, slots=True)
class Change:
    """One change in the order in which changes were made: of an attempt, of a post, or an account overdrawn."""

    seq: int
    at: float
    kind: str
    id: str
    ping_id: str
    subject: str
    before: str | None
    after: str
    epoch: int | None
    note: str


@dataclass(frozen=True, slots=True)
class Broken:
    """An invariant that did not hold in a snapshot at `at`, in seconds since the epoch, and in how many rows."""

    at: float
    name: str
    rows: int


@dataclass(frozen=True, slots=True)
class Books:
    """All of it."""

    pings: tuple[Ping, ...] = ()
    posts: tuple[Post, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    transfers: tuple[TransferRow, ...] = ()
    history: tuple[Change, ...] = ()
    queued: tuple[Queued, ...] = ()

    def money(self) -> MoneyBooks:
        """As the reconciliation of the money reads them: without tests, which move none."""
        return MoneyBooks(
            pings=tuple(
                PingRow(item.ping_id, item.seller, item.status, item.reason, item.payout_micros) for item in self.pings
            ),
            posts=tuple(PostRow(item.post_id, item.ping_id, item.state) for item in self.posts if not item.test),
            attempts=tuple(
                AttemptRow(
                    item.attempt_id, item.post_id, item.ping_id, item.order, item.buyer, item.state,
                    item.gross_micros, item.payout_micros,
                )
                for item in self.attempts
                if not item.test
            ),
            transfers=tuple(item for item in self.transfers if item.attempt_id is not None),
        )  # fmt: skip


_QUERIES = {
    "pings": "select ping_id::text, seller, campaign, status, reason, payout_micros from pings order by ping_id",
    "posts": (
        "select post_id::text, ping_id::text, seller, campaign, state, test, payout_micros, "
        "convert_from(answer, 'UTF8') as answer, extract(epoch from created_at)::float8 as at "
        "from posts order by post_id"
    ),
    "attempts": (
        "select attempt_id::text, post_id::text, ping_id::text, order_key, buyer, state, test, exclusive, "
        "gross_micros, payout_micros, extract(epoch from created_at)::float8 as at from attempts order by attempt_id"
    ),
    "transfers": (
        "select t.attempt_id::text, t.kind, t.amount_micros, d.kind || ':' || d.owner as debit, "
        "c.kind || ':' || c.owner as credit from transfers t join accounts d on d.account_id = t.debit_account "
        "join accounts c on c.account_id = t.credit_account order by t.transfer_id"
    ),
    "queued": (
        "select post_id::text, ping_id::text, seller, state, convert_from(answer, 'UTF8') as answer "
        "from queued_leads order by post_id"
    ),
    "history": (
        "select seq, extract(epoch from at)::float8 as at, kind, id, coalesce(ping_id::text, '') as ping_id, subject, "
        "before, after, epoch, note from chaos.history order by seq"
    ),
}


async def read_books(database: Database) -> Books:
    """Everything there is; the database is the run's own."""

    async def work(connection: Connection) -> Books:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = {name: await connection.fetch(query) for name, query in _QUERIES.items()}
        return Books(
            pings=tuple(Ping(*row.values()) for row in rows["pings"]),
            posts=tuple(Post(*row.values()) for row in rows["posts"]),
            attempts=tuple(Attempt(*row.values()) for row in rows["attempts"]),
            transfers=tuple(TransferRow(*row.values()) for row in rows["transfers"]),
            history=tuple(Change(*row.values()) for row in rows["history"]),
            queued=tuple(Queued(*row.values()) for row in rows["queued"]),
        )

    return await database.run(work, timeout_s=120)
