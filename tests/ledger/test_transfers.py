"""The transfers of a sale: they balance, move only what there is, and a return or correction undoes them exactly."""

from hypothesis import given
from hypothesis import strategies as st

from exchange.ledger.transfers import CLEARING, MARGIN, Account, Amounts, corrected, net, returned, sale

AMOUNTS = st.integers(0, 10**15).flatmap(
    lambda gross: st.builds(
        Amounts, st.just("northwind"), st.just("acme"), st.just("USD"), st.just(gross), st.integers(0, gross)
    )
)


@given(AMOUNTS)
def test_a_sale_charges_the_gross_and_parts_it_into_payout_and_margin(amounts: Amounts) -> None:
    moved = net(sale(amounts))
    assert sum(moved.values()) == 0
    assert moved.get(Account("buyer", "northwind"), 0) == -amounts.gross_micros
    assert moved.get(Account("seller", "acme"), 0) == amounts.payout_micros
    assert moved.get(MARGIN, 0) == amounts.gross_micros - amounts.payout_micros
    assert moved.get(CLEARING, 0) == 0


@given(AMOUNTS)
def test_no_transfer_moves_nothing(amounts: Amounts) -> None:
    assert all(item.amount_micros > 0 for made in (sale, returned, corrected) for item in made(amounts))


@given(AMOUNTS)
def test_a_return_and_a_correction_leave_every_account_as_it_was(amounts: Amounts) -> None:
    for undo in (returned, corrected):
        assert set(net((*sale(amounts), *undo(amounts))).values()) <= {0}


def test_the_kinds_say_what_happened() -> None:
    amounts = Amounts("northwind", "acme", "USD", 21_000_000, 17_850_000)
    assert [item.kind for item in sale(amounts)] == ["charge", "payout", "margin"]
    assert [item.kind for item in returned(amounts)] == ["return_charge", "return_payout", "return_margin"]
    assert [item.kind for item in corrected(amounts)] == [
        "correction_charge", "correction_payout", "correction_margin",
    ]  # fmt: skip
