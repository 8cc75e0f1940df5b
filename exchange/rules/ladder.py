"""The ladder at a post: which rungs of an offer can still be taken, and whether there is another attempt."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from exchange.rules.book import CampaignBook, OrderEntry
from exchange.rules.routing import barred
from exchange.values.market import Seller
from exchange.values.trace import Rung

T = TypeVar("T")


def open_rungs(
    ladder: Sequence[Rung],
    payout_micros: int,
    book: CampaignBook,
    seller: Seller,
    now_s: float = 0.0,
    is_shut: Callable[[OrderEntry], bool] = lambda _: False,
) -> tuple[tuple[Rung, OrderEntry], ...]:
    """The rungs that the rules in force now let be taken, best first; none pays less than what was promised.

    An order that was paused since, also until some time after `now_s` (Unix), is not, nor one whose endpoint `is_shut`
    for posts; one whose hours are over is: its bid was asked for within them. The ladder is as the offer was made:
    under `fallback: none` it has the winner alone.
    """
    found = []
    for rung in ladder:
        entry = book.by_key.get(rung.order)
        if entry is None or entry.buyer.key != rung.buyer or rung.gross_micros < payout_micros:
            continue
        if barred(entry, seller, now_s) is None and not is_shut(entry):
            found.append((rung, entry))
    return tuple(found)


def rest_of(plans: Sequence[T], tried: int, *, remaining_ms: int, attempt_min_ms: int, is_told: bool) -> Sequence[T]:
    """The attempts that may follow the first `tried`: none once the seller has his answer, or too little time is left.

    From that answer on the ladder is closed, whatever becomes of the attempt under way.
    """
    return () if is_told or remaining_ms < attempt_min_ms else plans[tried:]
