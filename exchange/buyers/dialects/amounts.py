"""Prices in a buyer's spelling, as a mapping declares it: exact, bounded, and nothing guessed."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from exchange.values.mapping import Money
from exchange.values.money import MICROS_PER_CENT, format_amount, parse_amount

_DOLLARS = re.compile(r"\$? ?([0-9]{1,3}(?:,[0-9]{3}){1,3}|[0-9]{1,12})(\.[0-9]{1,6})?", re.ASCII)
_COMMA = re.compile(r"([0-9]{1,3}(?:\.[0-9]{3}){1,3}|[0-9]{1,12})(?:,([0-9]{1,6}))?", re.ASCII)
_CENTS = re.compile(r"[0-9]{1,14}", re.ASCII)


def amount_reader(money: Money) -> Callable[[str], int | None]:
    """What reads amounts in this spelling: their micro-units, None for whatever is not exactly that."""
    return _READERS[money]


def write_amount(micros: int, money: Money) -> str:
    """An amount in this spelling; in cents it is rounded down."""
    if money is Money.CENTS:
        return str(micros // MICROS_PER_CENT)
    text = format_amount(micros)
    if money is Money.COMMA:
        return text.replace(".", ",")
    return f"${text}" if money is Money.DOLLARS else text


def _dollars(text: str) -> int | None:
    match = _DOLLARS.fullmatch(text)
    return None if match is None else parse_amount(match[1].replace(",", "") + (match[2] or ""))


def _comma(text: str) -> int | None:
    match = _COMMA.fullmatch(text)
    if match is None:
        return None
    return parse_amount(match[1].replace(".", "") + (f".{match[2]}" if match[2] else ""))


def _cents(text: str) -> int | None:
    return int(text) * MICROS_PER_CENT if _CENTS.fullmatch(text) else None


_READERS: Mapping[Money, Callable[[str], int | None]] = MappingProxyType(
    {Money.PLAIN: parse_amount, Money.DOLLARS: _dollars, Money.COMMA: _comma, Money.CENTS: _cents}
)
