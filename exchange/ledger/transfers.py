"""The transfers of a sale, and those that give it back: double entry, balanced through the clearing account."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple


class Account(NamedTuple):
    """Whose money it is: a buyer's, a seller's, or one of the exchange's own."""

    kind: str
    owner: str


CLEARING = Account("exchange", "clearing")
MARGIN = Account("exchange", "margin")
BANK = Account("exchange", "bank")


@dataclass(frozen=True, slots=True)
class Transfer:
    """An amount that leaves one account (debit) and arrives on another (credit). `amount_micros` is above 0."""

    kind: str
    debit: Account
    credit: Account
    amount_micros: int


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one sale moves: gross = payout + margin."""

    buyer: str
    seller: str
    currency: str
    gross_micros: int
    payout_micros: int

    @property
    def margin_micros(self) -> int:
        return self.gross_micros - self.payout_micros


def sale(amounts: Amounts) -> tuple[Transfer, ...]:
    """The buyer is charged the gross price, the seller paid, and the rest is the exchange's margin."""
    return _moving(
        Transfer("charge", Account("buyer", amounts.buyer), CLEARING, amounts.gross_micros),
        Transfer("payout", CLEARING, Account("seller", amounts.seller), amounts.payout_micros),
        Transfer("margin", CLEARING, MARGIN, amounts.margin_micros),
    )


def returned(amounts: Amounts) -> tuple[Transfer, ...]:
    """The buyer is credited the gross price; the payout comes back from the seller, the margin from the exchange."""
    return _backwards("return", amounts)


def corrected(amounts: Amounts) -> tuple[Transfer, ...]:
    """A sale that was only presumed, and was none, is taken back whole."""
    return _backwards("correction", amounts)


def net(transfers: tuple[Transfer, ...]) -> Mapping[Account, int]:
    """What the transfers add to each account: credits less debits."""
    found: dict[Account, int] = {}
    for item in transfers:
        found[item.debit] = found.get(item.debit, 0) - item.amount_micros
        found[item.credit] = found.get(item.credit, 0) + item.amount_micros
    return MappingProxyType(found)


def _backwards(word: str, amounts: Amounts) -> tuple[Transfer, ...]:
    return tuple(Transfer(f"{word}_{item.kind}", item.credit, item.debit, item.amount_micros) for item in sale(amounts))


def _moving(*transfers: Transfer) -> tuple[Transfer, ...]:
    """Without those that would move nothing."""
    return tuple(item for item in transfers if item.amount_micros)
