"""Sellers' rates at the doors: who sends more than was agreed is refused, and told when to come again."""

import time
from typing import Protocol

from exchange.api.problems import Prepared, prepared
from exchange.errors import Problem
from exchange.observe import metrics
from exchange.rules.book import RuleBook
from exchange.rules.rates import Buckets
from exchange.values.brakes import Rate

WAITS_KEPT = 1_000


class Market(Protocol):
    """Where the market in force is found."""

    @property
    def book(self) -> RuleBook | None: ...


class RateLimits:
    """The rates of the market in force; `usual` is that of sellers without one, None for no limit.

    Posts have a bucket of their own, as large as that of pings: they do not go short because of pings.
    """

    def __init__(self, market: Market, usual: Rate | None) -> None:
        self.buckets = Buckets()
        self._market = market
        self._usual = usual
        self._answers: dict[int, Prepared] = {}

    def refusal(self, seller: str, now_s: float) -> Prepared | None:
        """The answer to a ping for which its seller has no token; nothing is taken."""
        rate = self._rate(seller)
        wait_s = 0 if rate is None else self.buckets.wait_s(seller, rate, now_s)
        if not wait_s:
            return None
        _count()
        answer = self._answers.get(wait_s)
        if answer is None:
            answer = prepared(_limited(wait_s))
            if len(self._answers) < WAITS_KEPT:
                self._answers[wait_s] = answer
        return answer

    def take(self, seller: str, *, for_post: bool = False) -> None:
        """Takes a seller's token for one request. Raises Problem 429 where there is none."""
        rate = self._rate(seller)
        if rate is None:
            return
        name = f"{seller}:post" if for_post else seller  # no key of a seller holds a colon
        if wait_s := self.buckets.take(name, rate, time.monotonic()):
            _count()
            raise _limited(wait_s)

    def _rate(self, seller: str) -> Rate | None:
        book = self._market.book
        found = book.market.sellers.get(seller) if book else None
        return None if found is None else found.rate or self._usual


def _count() -> None:
    metrics.REQUESTS_SHED.add(("seller_rate",))


def _limited(wait_s: int) -> Problem:
    return Problem(429, "rate_limited", "You send more requests than were agreed.", retry_after_s=wait_s)
