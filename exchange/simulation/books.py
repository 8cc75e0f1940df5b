"""The exchange's own records of a run as plain values, whoever reads them from Postgres."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PingRow:
    """A ping: `status` is offered, unsold or refused; `reason` a code or None; `payout_micros` what was promised."""

    ping_id: str
    seller: str
    status: str
    reason: int | None
    payout_micros: int | None


@dataclass(frozen=True, slots=True)
class PostRow:
    """A post: `state` is in_progress, accepted, rejected or pending."""

    post_id: str
    ping_id: str
    state: str


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """A delivery to one order: `state` is prepared, accepted, rejected, not_sent or unknown.

    `leg` is that of a shared sale, 0 of an exclusive one.
    """

    attempt_id: str
    post_id: str
    ping_id: str
    order: str
    buyer: str
    state: str
    gross_micros: int
    payout_micros: int
    leg: int = 0


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A charge, payout, margin or deposit (`kind`); accounts are written `kind:owner`, as in `buyer:northwind`."""

    attempt_id: str | None
    kind: str
    amount_micros: int
    debit_account: str
    credit_account: str


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that was recorded of one run, and nothing of any other. Ids are in lower case with hyphens."""

    pings: tuple[PingRow, ...] = ()
    posts: tuple[PostRow, ...] = ()
    attempts: tuple[AttemptRow, ...] = ()
    transfers: tuple[TransferRow, ...] = ()
