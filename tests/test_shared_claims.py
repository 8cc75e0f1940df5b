"""What the legs of a shared post take before they are sent: money, caps and people; and repeats, tests, returns."""

import asyncio

import pytest
from support.buyer import REJECTS, Behaviour, Buyer, bids, reply, says
from support.market import CONTACT, LEAD, Document
from support.shares import attempts, moved, sell, shared_market, standing, state_of, told
from support.world import World

from exchange.commands import records
from exchange.errors import CommandError

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNCLEAR = says({}, 500)
UNIT = 1_000_000


# --- what is held at the claim ------------------------------------------------------------------------------------


async def test_a_leg_whose_buyer_cannot_pay_any_more_goes_to_the_reserve(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as poor, Buyer(bids("9.00")) as bob, Buyer(bids("8.90")) as cid:
        document = shared_market({"poor": poor, "bob": bob, "cid": cid})
        document["buyers"]["poor"]["credit_limit"] = "10.00"
        await shared_world.apply(document)
        offer = await shared_world.ping()
        await shared_world.rows("update accounts set credit_limit_micros = 0 where owner = 'poor'")
        post = await shared_world.post(offer["ping_id"])
        assert not poor.posts
    assert (post["status"], post["price"], post["shares"]) == ("accepted", "16.15", 2)
    assert await attempts(shared_world, post) == [(1, "cid", "accepted"), (2, "bob", "accepted")]
    await shared_world.assert_sound()


async def test_legs_that_nobody_can_take_are_withdrawn(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as ann, Buyer(bids("9.00")) as bob:
        document = shared_market({"ann": ann, "bob": bob})
        await shared_world.apply(document)
        one, none = await shared_world.ping(), await shared_world.ping()
        document["orders"]["ann"]["paused"] = True
        await shared_world.apply(document)
        post = await shared_world.post(one["ping_id"])
        assert (post["status"], post["price"], post["shares"]) == ("accepted", "7.65", 1)
        assert told(post) == [(1, "8.50", "rejected", 506), (2, "7.65", "accepted", None)]
        document["orders"]["bob"]["paused"] = True
        await shared_world.apply(document)
        post = await shared_world.post(none["ping_id"])
        assert (post["status"], post["reason"]["code"]) == ("rejected", 506)
        assert told(post) == [(1, "8.50", "rejected", 506), (2, "7.65", "rejected", 506)]
        assert not ann.posts
    await shared_world.assert_sound()


async def test_caps_count_each_leg_and_a_full_one_is_gone_by(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as ann, Buyer(bids("9.00")) as bob, Buyer(bids("8.90")) as cid:
        orders = {
            name: {"buyer": name.split("-")[0], "campaign": "auto-us"} for name in ("ann-capped", "bob-1", "cid-1")
        }
        document = shared_market({"ann": ann, "bob": bob, "cid": cid})
        document["orders"] = orders
        orders["ann-capped"]["caps"] = {"total": 2}  # type: ignore[assignment]
        await shared_world.apply(document)
        offers = [await shared_world.ping() for _ in range(2)]
        third = await shared_world.ping()
        posts = [await shared_world.post(offer["ping_id"]) for offer in (*offers, third)]
    taken = [{order for _, order, state in await attempts(shared_world, post)} for post in posts]
    assert taken == [{"ann-capped", "bob-1"}, {"ann-capped", "bob-1"}, {"bob-1", "cid-1"}]
    [row] = await shared_world.rows("select leads from caps where subject = 'ann-capped'")
    assert row["leads"] == 2
    await shared_world.assert_sound()


async def test_no_more_legs_are_offered_or_sold_than_a_sellers_cap_has_room_for(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as ann, Buyer(bids("9.00")) as bob:
        document = shared_market({"ann": ann, "bob": bob})
        [row] = await shared_world.rows(
            "select count(*) from attempts a join posts p using (post_id) "
            "where p.seller = 'other' and is_live(a.state) and not a.test"
        )
        await shared_world.apply(document)
        before = await shared_world.ping(seller="other")
        document["sellers"]["other"]["caps"] = {"total": row["count"] + 1}
        await shared_world.apply(document)
        assert (await shared_world.ping(seller="other"))["shares"] == 1
        post = await shared_world.post(before["ping_id"], seller="other")
    assert (before["shares"], post["status"], post["shares"]) == (2, "accepted", 1)
    assert told(post)[1][2:] == ("rejected", 506)
    await shared_world.assert_sound()


# --- people, repeats, tests ---------------------------------------------------------------------------------------


def person(number: int) -> Document:
    return CONTACT | {"phone": f"312-555-01{number:02d}", "email": f"p{number}@example.com"}


async def test_a_person_sold_in_shares_is_a_duplicate_until_no_leg_of_it_lives(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as ann, Buyer(bids("9.00"), REJECTS) as bob:
        document = shared_market({"ann": ann, "bob": bob}, duplicates={"window_days": 30})
        await shared_world.apply(document)
        offers = [await shared_world.ping() for _ in range(4)]
        first = await shared_world.post(offers[0]["ping_id"], person(1))
        assert (first["status"], first["shares"]) == ("accepted", 1)  # bob's no has not freed her
        again = await shared_world.post(offers[1]["ping_id"], person(1))
        assert (again["status"], again["reason"]["code"]) == ("rejected", 401)
        assert told(again) == [(1, "8.50", "rejected", 401), (2, "7.65", "rejected", 401)]
        ann.on_post = REJECTS
        assert (await shared_world.post(offers[2]["ping_id"], person(2)))["status"] == "rejected"
        ann.on_post = bob.on_post = says({"status": "accepted"})
        assert (await shared_world.post(offers[3]["ping_id"], person(2)))["shares"] == 2
    await shared_world.assert_sound()


async def test_a_buyer_who_has_had_a_person_is_gone_by_for_his_leg_alone(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as ann, Buyer(bids("9.00")) as bob, Buyer(bids("8.90")) as cid:
        document = shared_market({"ann": ann, "bob": bob, "cid": cid})
        document["buyers"]["ann"]["duplicates"] = {"window_days": 30}
        await shared_world.apply(document)
        offers = [await shared_world.ping() for _ in range(2)]
        posts = [await shared_world.post(offer["ping_id"], person(11)) for offer in offers]
    taken = [{order for _, order, _ in await attempts(shared_world, post)} for post in posts]
    assert taken == [{"ann", "bob"}, {"bob", "cid"}]
    await shared_world.assert_sound()


async def test_a_repeat_is_the_first_answer_byte_for_byte_and_sells_nothing(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as ann, Buyer(bids("9.00")) as bob:
        await shared_world.apply(shared_market({"ann": ann, "bob": bob}))
        offer = await shared_world.ping()
        body = {"ping_id": offer["ping_id"], "lead": CONTACT}
        answers = await asyncio.gather(
            *(shared_world.send("/v1/post", body, **{"Idempotency-Key": "k1"}) for _ in range(4))
        )
        done = [answer for answer in answers if answer.status_code == 200]
        assert done
        assert {answer.status_code for answer in answers} <= {200, 409}
        again = await shared_world.send("/v1/post", body, **{"Idempotency-Key": "k1"})
        without = await shared_world.send("/v1/post", body)
        assert {answer.content for answer in (*done, again, without)} == {done[0].content}
        assert (len(ann.posts), len(bob.posts)) == (1, 1)
    await shared_world.assert_sound()


async def test_a_test_lead_goes_the_whole_way_and_moves_nothing(shared_world: World) -> None:
    async with Buyer(bids("10.00"), REJECTS) as ann, Buyer(bids("9.00")) as bob, Buyer(bids("8.90")) as cid:
        before = await standing(shared_world, "bob")
        post = await sell(shared_world, shared_market({"ann": ann, "bob": bob, "cid": cid}), test=True)
        assert bob.posts[0].json["test"] is True
    assert (post["status"], post["price"], post["shares"]) == ("accepted", "16.15", 2)
    assert await moved(shared_world, post) == {}
    assert await standing(shared_world, "bob") == before
    await shared_world.assert_sound()


async def test_a_whole_lead_is_sold_in_shares(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as ann, Buyer(bids("9.00")) as bob:
        await shared_world.apply(shared_market({"ann": ann, "bob": bob}))
        answer = await shared_world.send("/v1/leads", {"campaign": "auto-us", "lead": LEAD | CONTACT})
        post = answer.json()
    assert (post["status"], post["price"], [leg["leg"] for leg in post["legs"]]) == ("accepted", "16.15", [1, 2])


# --- returns ------------------------------------------------------------------------------------------------------


async def test_a_return_takes_back_one_leg_or_all_that_are_left(shared_world: World) -> None:
    async with Buyer(bids("10.00")) as ann, Buyer(bids("9.00")) as bob, Buyer(bids("8.00"), REJECTS) as cid:
        document = shared_market({"ann": ann, "bob": bob, "cid": cid}, max_shares=3)
        post = await sell(shared_world, document)
        post_id = (await shared_world.rows("select post_id from posts where post_id = $1", post["post_id"]))[0][0]
    database = shared_world.database
    with pytest.raises(CommandError, match="no sale in leg 3"):
        await records.return_sale(database, post_id, "wrong_number", "", 3)
    [taken] = await records.return_sale(database, post_id, "wrong_number", "", 2)
    assert (taken.buyer, taken.gross_micros, taken.payout_micros) == ("bob", 9 * UNIT, 7_650_000)
    found = await state_of(shared_world, post)
    assert (found["status"], found["returned"]["price"]) == ("accepted", "7.65")
    with pytest.raises(CommandError, match="returned already"):
        await records.return_sale(database, post_id, "wrong_number", "", 2)
    [taken] = await records.return_sale(database, post_id, "wrong_number", "")
    assert taken.buyer == "ann"
    assert (await state_of(shared_world, post))["returned"]["price"] == "16.15"
    with pytest.raises(CommandError, match="returned already"):
        await records.return_sale(database, post_id, "wrong_number", "")
    await shared_world.assert_sound()


async def test_many_shared_posts_at_once_do_not_block_one_another(shared_world: World) -> None:
    said = [REJECTS, says({"status": "accepted"}), UNCLEAR]

    def prefers(number: int) -> Behaviour:
        return lambda asked: reply({"bid": f"{9 + (asked.json['lead']['age'] + number) % 4}.00", "max_shares": 3})

    def answers(number: int) -> Behaviour:
        return lambda sent: said[(sent.json["lead"]["age"] + number) % 3](sent)

    buyers = {f"b{number}": Buyer(prefers(number), answers(number)) for number in range(5)}
    async with buyers["b0"], buyers["b1"], buyers["b2"], buyers["b3"], buyers["b4"]:
        document = shared_market(buyers, max_shares=3, post_timeout_ms=10_000, caps={"day": 100_000})
        for order in document["orders"].values():
            order["caps"] = {"day": 10_000}
        await shared_world.apply(document)
        offers = [await shared_world.ping(LEAD | {"age": 20 + number}) for number in range(40)]
        posts = await asyncio.gather(*(shared_world.post(offer["ping_id"]) for offer in offers))
    assert [len(post["legs"]) for post in posts] == [offer["shares"] for offer in offers]
    [row] = await shared_world.rows("select deadlocks from pg_stat_database where datname = current_database()")
    assert row["deadlocks"] == 0
    await shared_world.assert_sound()
