"""Compares the transfers with the attempts that they were made for: each sale moves its money once, and all of it.

A sale may be returned: then all of it goes back once, and the attempt stays a sale. One that was only presumed may be
corrected to a rejection: then all of it goes back, too.
"""

from collections.abc import Iterator, Sequence

from exchange.simulation.books import AttemptRow, Books, TransferRow
from exchange.values.money import format_amount

SALE_KINDS = ("charge", "payout", "margin")
RETURN, CORRECTION = "return_", "correction_"
ATTEMPT_KINDS = frozenset(prefix + kind for prefix in ("", RETURN, CORRECTION) for kind in SALE_KINDS)
SOLD = frozenset({"accepted", "presumed_accepted"})
CORRECTED = "rejected"
"""What a sale that was only presumed becomes where the buyer says that it was none."""


def money_disagreements(books: Books) -> Iterator[str]:
    """Every way in which the transfers are not exactly what the attempts call for."""
    yield from _malformed(books)
    sellers = {row.ping_id: row.seller for row in books.pings}
    of_attempt: dict[str, list[TransferRow]] = {}
    for transfer in books.transfers:
        if transfer.attempt_id is not None:
            of_attempt.setdefault(transfer.attempt_id, []).append(transfer)
    for attempt in books.attempts:
        transfers = of_attempt.pop(attempt.attempt_id, [])
        yield from _attempt(attempt, transfers, sellers.get(attempt.ping_id, ""))
    for attempt_id in of_attempt:
        yield f"Money was moved for attempt {attempt_id}, which is not recorded."


def _malformed(books: Books) -> Iterator[str]:
    for transfer in books.transfers:
        subject = f"A {transfer.kind} of {format_amount(transfer.amount_micros)} for attempt {transfer.attempt_id}"
        if transfer.amount_micros <= 0 or transfer.debit_account == transfer.credit_account:
            yield f"{subject} moves nothing."
        if (transfer.kind in ATTEMPT_KINDS) != (transfer.attempt_id is not None):
            yield f"{subject} is of a kind that does not go with an attempt or with none."


def _attempt(attempt: AttemptRow, transfers: Sequence[TransferRow], seller: str) -> Iterator[str]:
    """What an attempt has moved: its sale, and, where it was given back, the same the other way round."""
    back = {prefix: [item for item in transfers if item.kind.startswith(prefix)] for prefix in (RETURN, CORRECTION)}
    if attempt.state in SOLD:
        yield from _moved(attempt, transfers, seller, "")
        if back[RETURN]:
            yield from _moved(attempt, transfers, seller, RETURN)
        if back[CORRECTION]:
            yield f"Attempt {attempt.attempt_id} is {attempt.state}, and its sale was taken back as none."
    elif attempt.state == CORRECTED and back[CORRECTION]:
        yield from _moved(attempt, transfers, seller, "")
        yield from _moved(attempt, transfers, seller, CORRECTION)
        if back[RETURN]:
            yield f"Attempt {attempt.attempt_id} is {attempt.state}, and was returned as well."
    elif transfers:
        yield f"Attempt {attempt.attempt_id} is {attempt.state}, and money was moved for it."


def _moved(attempt: AttemptRow, transfers: Sequence[TransferRow], seller: str, prefix: str) -> Iterator[str]:
    """One charge, one payout and one margin of the recorded amounts (none where it is nothing), through one account.

    With a prefix the same, back.
    """
    expected = {
        "charge": attempt.gross_micros,
        "payout": attempt.payout_micros,
        "margin": attempt.gross_micros - attempt.payout_micros,
    }
    subject, sign = f"Attempt {attempt.attempt_id}", -1 if prefix else 1
    found = [transfer for transfer in transfers if transfer.kind in {prefix + kind for kind in SALE_KINDS}]
    for kind, amount_micros in expected.items():
        amounts = [transfer.amount_micros for transfer in found if transfer.kind == prefix + kind]
        if amounts != [amount_micros][: amount_micros != 0]:
            moved = ", ".join(map(format_amount, amounts)) or "nothing"
            yield f"{subject}: its {prefix}{kind} is {moved}, it should be {format_amount(amount_micros)} once."
    balances: dict[str, int] = {}
    for transfer in found:
        micros = sign * transfer.amount_micros
        balances[transfer.debit_account] = balances.get(transfer.debit_account, 0) - micros
        balances[transfer.credit_account] = balances.get(transfer.credit_account, 0) + micros
    back = " back" if prefix else ""
    if balances.pop(f"buyer:{attempt.buyer}", 0) != -attempt.gross_micros:
        yield f"{subject}: its buyer's account is not the one charged with the gross price{back}."
    if balances.pop(f"seller:{seller}", 0) != attempt.payout_micros:
        yield f"{subject}: its seller's account is not the one paid{back}."
    kept = sorted(balance for balance in balances.values() if balance)
    if kept != [expected["margin"]][: expected["margin"] != 0]:
        yield f"{subject}: the exchange's accounts do not keep exactly the margin{back}."
