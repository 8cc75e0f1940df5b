"""Sets of orders as whole numbers: bit `i` stands for order `i`."""

from collections.abc import Iterable, Sequence
from typing import Final

_LARGE: Final = 50_000
_MANY: Final = 50
"""From so many orders and members on it is quicker to go by bytes."""

_ANY: Final = bytes([0]) + bytes([1]) * 255
_BITS_OF: Final = [[bit for bit in range(8) if octet >> bit & 1] for octet in range(256)]


def set_of(numbers: Sequence[int]) -> int:
    """The set of the orders with these numbers."""
    found = bytearray(max(numbers, default=0) // 8 + 1)
    for number in numbers:
        found[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(found, "little")


def bits(members: int) -> list[int]:
    """The numbers of the orders in a set, lowest first."""
    if members.bit_length() > _LARGE and members.bit_count() > _MANY:
        return _bits_by_bytes(members)
    found = []
    while members:  # from the highest down: each is cheaper to take off than the lowest
        highest = members.bit_length() - 1
        found.append(highest)
        members ^= 1 << highest
    return found[::-1]


def _bits_by_bytes(members: int) -> list[int]:
    """The same, of a large set with many members: the set is not copied for each of them."""
    octets = members.to_bytes((members.bit_length() + 7) // 8, "little")
    marks = octets.translate(_ANY)
    found: list[int] = []
    place = marks.find(1)
    while place >= 0:
        for bit in _BITS_OF[octets[place]]:
            found.append(8 * place + bit)  # noqa: PERF401  # for one bit or two a comprehension costs more
        place = marks.find(1, place + 1)
    return found


def union(sets: Iterable[int]) -> int:
    """All of some sets."""
    found = 0
    for members in sets:
        found |= members
    return found
