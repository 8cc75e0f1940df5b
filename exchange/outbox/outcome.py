"""What sending something from the outbox can yield besides what a carrier says of it."""

from exchange.carriers.outcome import Failed

GONE = Failed("the market has no such receiver any more", is_final=True)
