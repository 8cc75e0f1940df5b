"""How many requests a seller may send: a bucket that fills at his rate and holds his burst; a token each."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from exchange.values.brakes import Rate


class Bucket(NamedTuple):
    """`tokens` at a moment in seconds; below zero where others took some before that was known here."""

    rate: Rate
    tokens: float
    at_s: float

    @classmethod
    def full(cls, rate: Rate, now_s: float) -> "Bucket":
        return cls(rate, float(rate.burst), now_s)

    def filled(self, rate: Rate, now_s: float) -> "Bucket":
        """The bucket as it is now, from now on under this rate. A clock that went back fills nothing."""
        gained = max(0.0, now_s - self.at_s) * self.rate.per_s
        return Bucket(rate, min(float(rate.burst), self.tokens + gained), now_s)

    @property
    def wait_s(self) -> int:
        """Whole seconds until there is a token, rounded up; 0 where there is one."""
        return 0 if self.tokens >= 1 else math.ceil((1 - self.tokens) / self.rate.per_s)


class Buckets:
    """The buckets of one gateway; one that is not there is full. `taken` is what the others have not been told yet."""

    def __init__(self) -> None:
        self.taken: dict[str, int] = {}
        self._buckets: dict[str, Bucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def wait_s(self, name: str, rate: Rate, now_s: float) -> int:
        """Whole seconds until there is a token, rounded up; 0 where there is one."""
        bucket = self._buckets.get(name)
        return 0 if bucket is None else bucket.filled(rate, now_s).wait_s

    def take(self, name: str, rate: Rate, now_s: float) -> int:
        """Takes a token; or returns the whole seconds until there is one, and takes nothing."""
        bucket = self._buckets.get(name)
        bucket = Bucket.full(rate, now_s) if bucket is None else bucket.filled(rate, now_s)
        if wait_s := bucket.wait_s:
            self._buckets[name] = bucket
            return wait_s
        self._buckets[name] = bucket._replace(tokens=bucket.tokens - 1)
        self.taken[name] = self.taken.get(name, 0) + 1
        return 0

    def rates(self, names: Mapping[str, int]) -> Mapping[str, Rate]:
        """The rates of these buckets, as far as they are there."""
        return {name: self._buckets[name].rate for name in names if name in self._buckets}

    def heard(self, levels: Mapping[str, float], now_s: float) -> None:
        """What all gateways together have left in these buckets; what was taken here since is not in it yet."""
        for name, tokens in levels.items():
            bucket = self._buckets.get(name)
            if bucket is not None:
                left = min(float(bucket.rate.burst), tokens - self.taken.get(name, 0))
                self._buckets[name] = Bucket(bucket.rate, left, now_s)

    def forget_full(self, now_s: float) -> None:
        """Drops the buckets that are full again."""
        for name, bucket in list(self._buckets.items()):
            if name not in self.taken and bucket.filled(bucket.rate, now_s).tokens >= bucket.rate.burst:
                del self._buckets[name]
