"""Compares the transfers with the attempts that they were made for: each sale moves its money once, and all of it."""

from collections.abc import Iterator

from exchange.simulation.books import AttemptRow, Books, TransferRow
from exchange.values.money import format_amount

SALE_KINDS = ("charge", "payout", "margin")


def money_disagreements(books: Books) -> Iterator[str]:
    """Every way in which the transfers are not exactly what the accepted attempts call for."""
    yield from _malformed(books)
    sellers = {row.ping_id: row.seller for row in books.pings}
    of_attempt: dict[str, list[TransferRow]] = {}
    for transfer in books.transfers:
        if transfer.attempt_id is not None:
            of_attempt.setdefault(transfer.attempt_id, []).append(transfer)
    for attempt in books.attempts:
        transfers = of_attempt.pop(attempt.attempt_id, [])
        if attempt.state == "accepted":
            yield from _sale(attempt, transfers, sellers.get(attempt.ping_id, ""))
        elif transfers:
            yield f"Attempt {attempt.attempt_id} is {attempt.state}, and money was moved for it."
    for attempt_id in of_attempt:
        yield f"Money was moved for attempt {attempt_id}, which is not recorded."


def _malformed(books: Books) -> Iterator[str]:
    for transfer in books.transfers:
        subject = f"A {transfer.kind} of {format_amount(transfer.amount_micros)} for attempt {transfer.attempt_id}"
        if transfer.amount_micros <= 0 or transfer.debit_account == transfer.credit_account:
            yield f"{subject} moves nothing."
        if (transfer.kind in SALE_KINDS) != (transfer.attempt_id is not None):
            yield f"{subject} is of a kind that does not go with an attempt or with none."


def _sale(attempt: AttemptRow, transfers: list[TransferRow], seller: str) -> Iterator[str]:
    """One charge, one payout and one margin of the recorded amounts (none where it is nothing), through one account."""
    expected = {
        "charge": attempt.gross_micros,
        "payout": attempt.payout_micros,
        "margin": attempt.gross_micros - attempt.payout_micros,
    }
    subject = f"Attempt {attempt.attempt_id}"
    for kind, amount_micros in expected.items():
        amounts = [transfer.amount_micros for transfer in transfers if transfer.kind == kind]
        if amounts != [amount_micros][: amount_micros != 0]:
            moved = ", ".join(map(format_amount, amounts)) or "nothing"
            yield f"{subject}: its {kind} is {moved}, it should be {format_amount(amount_micros)} once."
    balances: dict[str, int] = {}
    for transfer in transfers:
        balances[transfer.debit_account] = balances.get(transfer.debit_account, 0) - transfer.amount_micros
        balances[transfer.credit_account] = balances.get(transfer.credit_account, 0) + transfer.amount_micros
    if balances.pop(f"buyer:{attempt.buyer}", 0) != -attempt.gross_micros:
        yield f"{subject}: its buyer's account is not the one charged with the gross price."
    if balances.pop(f"seller:{seller}", 0) != attempt.payout_micros:
        yield f"{subject}: its seller's account is not the one paid."
    kept = sorted(balance for balance in balances.values() if balance)
    if kept != [expected["margin"]][: expected["margin"] != 0]:
        yield f"{subject}: the exchange's accounts do not keep exactly the margin."
