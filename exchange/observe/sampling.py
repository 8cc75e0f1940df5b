"""Which of many things are kept: a share of them, always the same ones, by the random bits of their ids."""

_BITS = 56
"""So many of the last bits of a UUID of any version, and of a trace id, are random."""


class Sampling:
    """Takes `share` of all ids, from 0 to 1."""

    def __init__(self, share: float) -> None:
        self._below = round(share * (1 << _BITS))

    def takes(self, identifier: int) -> bool:
        return (identifier & ((1 << _BITS) - 1)) < self._below
