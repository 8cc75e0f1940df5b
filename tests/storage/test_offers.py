"""Offers that were just made: each is there once, the newest so many."""

from datetime import UTC, datetime, timedelta

import orjson

from exchange.embedded.lease import Services
from exchange.storage.database import Database
from exchange.storage.journal import Journal
from exchange.storage.offers import Offers
from exchange.storage.pings import find, row_of
from exchange.values.deadline import Deadline
from exchange.values.ids import uuid7
from exchange.values.trace import Offer, PingStatus, PingTrace, Rung


def offered() -> PingTrace:
    offer = Offer(17_850_000, datetime.now(UTC) + timedelta(minutes=1), (Rung("ann", "ann", 21_000_000),))
    phases = {"ask": 3.0}
    return PingTrace(
        uuid7(), "acme", "auto-us", 1, "USD", False, None, None, None, {}, PingStatus.OFFERED, None, offer, (), phases
    )


def test_an_offer_is_taken_once() -> None:
    offers, trace = Offers(), offered()
    offers.keep(row_of(trace))
    found = offers.take(trace.ping_id)
    assert found is not None
    assert trace.offer is not None
    assert (found.ping_id, found.ladder, found.payout_micros) == (
        trace.ping_id,
        trace.offer.ladder,
        trace.offer.payout_micros,
    )
    assert found.post_id is None
    assert offers.take(trace.ping_id) is None


async def test_the_id_of_a_ping_that_is_read_back_can_be_written_as_json(services: Services) -> None:
    trace = offered()
    database = await Database.connect(services.postgres_url, connections_max=1, timeout_s=10)
    journal = Journal(database, rows_max=10)
    await journal.commit(row_of(trace), Deadline.after_ms(5_000))
    await journal.close()
    found = await find(database, trace.ping_id)
    await database.close()
    assert found is not None
    assert orjson.loads(orjson.dumps([found.ping_id])) == [str(trace.ping_id)]


def test_the_oldest_offer_goes() -> None:
    offers, traces = Offers(at_most=2), [offered() for _ in range(3)]
    for trace in traces:
        offers.keep(row_of(trace))
    assert len(offers) == 2
    assert [offers.take(trace.ping_id) is not None for trace in traces] == [False, True, True]


def test_nobody_knows_another_ping() -> None:
    assert Offers().take(uuid7()) is None
