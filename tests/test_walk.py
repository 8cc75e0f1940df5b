"""The whole story on real parts: ping, auction, post, money, and what everybody is told."""

from support.buyer import Buyer, bids
from support.market import CONTACT, LEAD, market
from support.world import World


async def test_a_lead_is_sold_to_the_highest_bidder_and_the_money_moves(world: World) -> None:
    async with Buyer(bids("21.00", "high-1")) as high, Buyer(bids("18.00")) as low:
        version = await world.apply(market({"high": high, "low": low}))
        offer = await world.ping()
        assert (offer["status"], offer["price"], offer["currency"]) == ("offered", "17.85", "USD")
        assert (offer["sale"], offer["shares"], offer["expires_in"], offer["ignored"]) == ("exclusive", 1, 60, [])

        answer = await world.post(offer["ping_id"])

    assert (answer["status"], answer["price"], answer["changed_fields"]) == ("accepted", "17.85", [])
    assert await world.reasons(offer["ping_id"]) == {"high": 2, "low": 307}
    sent = high.posts[0]
    assert sent.headers["idempotency-key"] == sent.json["attempt_id"]
    assert sent.json["lead"] == LEAD | {"state": "IL"} | CONTACT | {
        "phone": "+13125550123",
        "email": "ann.canary@example.com",
    }
    assert (sent.json["bid_id"], sent.json["price"], sent.json["order"]) == ("high-1", "21.00", "high")
    assert not low.posts
    transfers = await world.rows("select kind, amount_micros from transfers order by transfer_id")
    assert [tuple(row) for row in transfers] == [
        ("charge", 21_000_000),
        ("payout", 17_850_000),
        ("margin", 3_150_000),
    ]
    [row] = await world.rows("select market_version, payout_micros from pings")
    assert tuple(row) == (version, 17_850_000)
    await world.assert_sound()
