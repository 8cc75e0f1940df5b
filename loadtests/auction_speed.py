"""Measures how long an auction takes: the highest of many bids, and the best set of shared ones.

    python loadtests/auction_speed.py                   # --orders 50 25 10, --shares 3

Bids are random; orders that bid both ways make two each. Each decision is compared with a plain one: the highest bid,
and the best of all sets that are allowed. Times are CPU time, with the garbage collector as a gateway sets it; first
of the decision, then with the outcomes of all orders, as they are journaled.
"""

import argparse
import gc
import random
import statistics
import time
from collections.abc import Sequence
from itertools import combinations

from exchange.app import GC_THRESHOLDS
from exchange.auction import Decision, Entrant, Terms, decide
from exchange.values.bid import Asked, Bid
from exchange.values.ids import uuid7
from exchange.values.market import Margin, Sale
from exchange.values.reason import Reason

CENT = 10_000
MARGIN = Margin(parts_per_million=150_000)
FLOOR = 500 * CENT

Apart = dict[str, frozenset[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, nargs="+", default=[50, 25, 10])
    parser.add_argument("--shares", type=int, default=3, help="legs at most")
    parser.add_argument("--auctions", type=int, default=50, help="different ones")
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    gc.set_threshold(*GC_THRESHOLDS)
    for orders in options.orders:
        run(orders, options)


def run(orders: int, options: argparse.Namespace) -> None:
    chance = random.Random(options.seed)
    both = [entrants(orders, chance) for _ in range(options.auctions)]
    one = [[item._replace(asked=alone(item.asked)) for item in found] for found in both]
    rivals = apart(orders, chance)
    print(f"{orders} orders, {options.shares} shares at most")
    best = Terms(FLOOR, sale=Sale.BEST, max_shares=options.shares)
    measure("one bid each, the highest", one, Terms(FLOOR), options.repeats)
    measure("one bid each, the better way", one, best, options.repeats)
    measure("two bids each, the better way", both, best, options.repeats)
    measure("where buyers exclude others", both, best._replace(apart=rivals), options.repeats)


def measure(what: str, auctions: Sequence[list[Entrant]], terms: Terms, repeats: int) -> None:
    """Prints the median and the spread of what one auction takes, after it has been checked."""
    ping_id = uuid7()
    for found in auctions:
        check(found, terms, decide(found, terms, ping_id))
    alone_us, kept_us = [], []
    for _ in range(repeats):
        began_ns = time.process_time_ns()
        for found in auctions:
            decide(found, terms, ping_id)
        decided_ns = time.process_time_ns()
        for found in auctions:
            _ = decide(found, terms, ping_id).rows
        alone_us.append((decided_ns - began_ns) / 1000 / len(auctions))
        kept_us.append((time.process_time_ns() - decided_ns) / 1000 / len(auctions))
    print(f"{what:30} {_spread(alone_us)}   with outcomes {_spread(kept_us)}")


def _spread(took_us: Sequence[float]) -> str:
    return f"p50 {statistics.median(took_us):6.1f} us, {min(took_us):6.1f} to {max(took_us):6.1f} us"


def check(found: Sequence[Entrant], terms: Terms, decision: Decision) -> None:
    """Asserts that nobody could have sold the lead for more."""
    won = sum(item.gross_micros or 0 for item in decision.outcomes if item.reason is Reason.WON)
    bids = [(item.buyer, bid) for item in found for bid in _bids(item)]
    best = max(bid.gross_micros for _, bid in bids if bid.sale is Sale.EXCLUSIVE)
    shared = [(buyer, bid) for buyer, bid in bids if bid.sale is Sale.SHARED]
    for size in range(1, terms.max_shares + 1) if terms.sale is Sale.BEST else ():
        for some in combinations(shared, size):
            if _may_share(some, terms):
                best = max(best, sum(bid.gross_micros for _, bid in some))
    assert won == best, (won, best)


def _may_share(some: Sequence[tuple[str, Bid]], terms: Terms) -> bool:
    buyers = {buyer for buyer, _ in some}
    return (
        len(buyers) == len(some)
        and all((bid.shares_max or terms.max_shares) >= len(some) for _, bid in some)
        and not any(terms.apart.get(buyer, frozenset()) & buyers for buyer in buyers)
    )


def _bids(item: Entrant) -> tuple[Bid, ...]:
    reply = item.asked.reply
    return (reply, *reply.others) if isinstance(reply, Bid) else ()


def entrants(count: int, chance: random.Random) -> list[Entrant]:
    """Orders that bid both ways, a share for about half; four of five buyers have one order."""
    found = []
    for number in range(count):
        gross = chance.randint(600, 4_000) * CENT
        share = Bid(
            max(gross * chance.randint(35, 60) // 100 // CENT * CENT, FLOOR),
            "b",
            Sale.SHARED,
            chance.choice([None, 2, 3]),
        )
        asked = Asked(f"order-{number}", Bid(gross, "a", others=(share,)), 5.0)
        buyer = f"buyer-{number if chance.random() < 0.8 else number // 2}"
        found.append(Entrant(f"order-{number}", buyer, chance.randint(0, 2), None, None, MARGIN, asked))
    return found


def alone(asked: Asked) -> Asked:
    """The reply without its shared bid."""
    assert isinstance(asked.reply, Bid)
    return asked._replace(reply=asked.reply._replace(others=()))


def apart(count: int, chance: random.Random) -> Apart:
    """Every fifth buyer does not share with three others, nor they with him."""
    found: dict[str, set[str]] = {}
    for number in range(0, count, 5):
        for other in chance.sample(range(count), 3):
            if other != number:
                found.setdefault(f"buyer-{number}", set()).add(f"buyer-{other}")
                found.setdefault(f"buyer-{other}", set()).add(f"buyer-{number}")
    return {buyer: frozenset(others) for buyer, others in found.items()}


if __name__ == "__main__":
    main()
