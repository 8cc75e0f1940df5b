"""The money of sales that were returned, presumed or corrected: all of it moves, once, and goes back as it came."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.ledger import transfers as ledger
from exchange.simulation.books import AttemptRow, Books, PingRow, TransferRow
from exchange.simulation.reconcile_money import money_disagreements

BUYER, SELLER, ATTEMPT = "northwind", "acme", "attempt-0"
amounts = st.tuples(st.integers(1, 10**9), st.integers(0, 10**9)).map(lambda pair: (max(pair), min(pair)))


def rows(made: tuple[ledger.Transfer, ...]) -> list[TransferRow]:
    """Transfers as they are recorded."""
    return [
        TransferRow(ATTEMPT, item.kind, item.amount_micros, ":".join(item.debit), ":".join(item.credit))
        for item in made
    ]


def books(state: str, moved: list[TransferRow], gross: int = 21_000_000, payout: int = 17_850_000) -> Books:
    attempt = AttemptRow(ATTEMPT, "post-0", "ping-0", "order", BUYER, state, gross, payout)
    return Books((PingRow("ping-0", SELLER, "offered", None, payout),), (), (attempt,), tuple(moved))


def of(gross: int = 21_000_000, payout: int = 17_850_000) -> ledger.Amounts:
    return ledger.Amounts(BUYER, SELLER, "USD", gross, payout)


@given(amounts)
def test_what_the_ledger_makes_agrees(pair: tuple[int, int]) -> None:
    found = of(*pair)
    sale, back, none = rows(ledger.sale(found)), rows(ledger.returned(found)), rows(ledger.corrected(found))
    for state, moved in (
        ("accepted", sale),
        ("presumed_accepted", sale),
        ("accepted", sale + back),
        ("presumed_accepted", sale + back),
        ("rejected", sale + none),
        ("rejected", []),
        ("presumed_rejected", []),
        ("unknown", []),
    ):
        assert list(money_disagreements(books(state, moved, *pair))) == []


def test_the_ledgers_kinds_are_those_that_go_with_an_attempt() -> None:
    lonely = [TransferRow(None, item.kind, 1, "a", "b") for item in (*ledger.returned(of()), *ledger.corrected(of()))]
    assert len(list(money_disagreements(Books(transfers=tuple(lonely))))) == len(lonely)


SALE, BACK, NONE = rows(ledger.sale(of())), rows(ledger.returned(of())), rows(ledger.corrected(of()))


@pytest.mark.parametrize(
    ("state", "moved", "says"),
    [
        ("accepted", BACK, "its charge is nothing"),
        ("accepted", SALE + BACK + BACK, "its return_charge is 21.00, 21.00"),
        ("accepted", SALE + BACK[:1], "its return_payout is nothing"),
        ("accepted", SALE + NONE, "its sale was taken back as none"),
        ("presumed_accepted", [], "its payout is nothing"),
        ("rejected", SALE, "money was moved for it"),
        ("rejected", NONE, "its charge is nothing"),
        ("rejected", SALE + BACK, "money was moved for it"),
        ("rejected", SALE + NONE + BACK, "was returned as well"),
        ("rejected", SALE + NONE[1:], "its correction_charge is nothing"),
        ("presumed_rejected", SALE + NONE, "money was moved for it"),
        ("unknown", SALE, "money was moved for it"),
        ("not_sent", SALE + NONE, "money was moved for it"),
    ],
)
def test_what_does_not_go_with_the_state_is_said(state: str, moved: list[TransferRow], says: str) -> None:
    assert any(says in text for text in money_disagreements(books(state, moved)))


@pytest.mark.parametrize(("made", "state"), [(BACK, "accepted"), (NONE, "rejected")])
@pytest.mark.parametrize(
    ("number", "says"),
    [(0, "buyer's account is not the one charged with the gross price back"), (1, "not the one paid back")],
)
def test_what_goes_back_to_others_is_said(made: list[TransferRow], state: str, number: int, says: str) -> None:
    wrong = made[number]
    elsewhere = TransferRow(
        wrong.attempt_id,
        wrong.kind,
        wrong.amount_micros,
        wrong.debit_account.replace(f"seller:{SELLER}", "seller:other"),
        wrong.credit_account.replace(f"buyer:{BUYER}", "buyer:other"),
    )
    spoiled = [elsewhere if item is wrong else item for item in made]
    assert any(says in text for text in money_disagreements(books(state, SALE + spoiled)))


def test_a_margin_that_goes_back_from_elsewhere_is_said() -> None:
    short = [
        item if item.kind != "return_margin" else TransferRow(ATTEMPT, item.kind, 1, item.debit_account, "bank:x")
        for item in BACK
    ]
    assert any("keep exactly the margin back" in text for text in money_disagreements(books("accepted", SALE + short)))
