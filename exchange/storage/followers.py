"""Followers: what the market in force wants to be told or sent, kept where a sale can look it up for nothing."""

from collections.abc import Iterator

from exchange.storage.database import Connection
from exchange.values.deliveries import SALE_EVENT, WEBHOOK_NAME
from exchange.values.market import Market
from exchange.values.notices import NOTICES_KIND, NOTICES_NAME, BidEvent

Row = tuple[str, str, str, str, str, int, int | None]


async def follow(connection: Connection, market: Market) -> None:
    """Replaces the followers by those of a market, in the transaction that brings it into force."""
    await connection.execute("delete from followers")
    rows = list(_rows(market))
    if rows:
        await connection.executemany(
            "insert into followers (scope, subject, event, name, kind, after_s, every_s) "
            "values ($1, $2, $3, $4, $5, $6, $7)",
            rows,
        )


def _rows(market: Market) -> Iterator[Row]:
    for seller in market.sellers.values():
        for event in sorted(seller.webhook.events) if seller.webhook else ():
            yield "seller", seller.key, event.value, WEBHOOK_NAME, "seller_webhook", 0, None
    for buyer in market.buyers.values():
        if buyer.notices is not None and BidEvent.WON in buyer.notices.events:
            yield "buyer", buyer.key, BidEvent.WON.value, NOTICES_NAME, NOTICES_KIND, 0, None
    for order in market.orders.values():
        for item in order.deliver:
            yield "order", order.key, SALE_EVENT, item.name, item.kind, item.after_s, item.every_s
