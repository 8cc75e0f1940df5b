"""Acceptance: how often an order's leads are accepted once they are posted, as far as that has been seen."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

MILLION = 1_000_000
PRIOR_ATTEMPTS = 10
"""With how many attempts of its campaign's usual acceptance an order begins."""


class Tally(NamedTuple):
    """An order's attempts that came to a clear end, and how many of them were sales."""

    tried: int = 0
    accepted: int = 0


def acceptances(orders: Iterable[str], tallies: Mapping[str, Tally]) -> dict[str, int]:
    """The acceptance of each order of one campaign, in parts per million, rounded down; nothing where nothing was seen.

    It is (accepted + 10 * mean) / (tried + 10), with the mean of the campaign: few attempts say little.
    """
    found = {order: tallies.get(order, Tally()) for order in orders}
    tried, accepted = (sum(column) for column in zip(*found.values(), strict=True)) if found else (0, 0)
    if not tried:
        return {}
    return {
        order: (own.accepted * tried + PRIOR_ATTEMPTS * accepted) * MILLION // (tried * (own.tried + PRIOR_ATTEMPTS))
        for order, own in found.items()
    }


def known(orders: Sequence[str], measured: Mapping[str, int]) -> list[int]:
    """The acceptance of each of these orders; one that has not been measured yet counts as the others' mean."""
    values = [measured[order] for order in orders if order in measured]
    mean = sum(values) // len(values) if values else MILLION
    return [measured.get(order, mean) for order in orders]
