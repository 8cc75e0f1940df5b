"""The ladder of a post: who is asked next after a clear no, who never is, and what late answers change."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.buyer import ACCEPTS, REJECTS, Behaviour, Buyer, Received, bids, reply, says, silent
from support.market import CONTACT, LEAD, Document, market
from support.waiting import Held, until
from support.world import World, open_world

from exchange.embedded.lease import Services

pytestmark = pytest.mark.asyncio(loop_scope="module")

DUPLICATE = says({"status": "duplicate"})
SHORT: Document = {"post_timeout_ms": 500}


def breaks_off(_: Received) -> None:
    """Closes the connection without a word."""


def raw(content: bytes) -> Behaviour:
    return lambda _: content


@contextmanager
def nobody() -> Iterator[str]:
    """The address of a port that takes no connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


async def sell(world: World, document: Document, **ping: Any) -> Document:
    """A ping and its post."""
    await world.apply(document)
    return await world.post((await world.ping(**ping))["ping_id"])


async def attempts(world: World, post: Document) -> list[tuple[str, str]]:
    rows = await world.rows(
        "select order_key, state from attempts where post_id = $1 order by ordinal", post["post_id"]
    )
    return [(row["order_key"], row["state"]) for row in rows]


async def status_of(world: World, post: Document) -> Document:
    found: Document = (await world.get(f"/v1/posts/{post['post_id']}")).json()
    return found


async def margin_of(world: World, post: Document) -> int:
    rows = await world.rows(
        "select amount_micros from transfers join attempts using (attempt_id) where post_id = $1 and kind = 'margin'",
        post["post_id"],
    )
    return sum(row["amount_micros"] for row in rows)


# --- who is asked next --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("no", "state"), [(REJECTS, "rejected"), (DUPLICATE, "rejected")], ids=["no", "duplicate"])
async def test_after_a_clear_no_the_next_order_is_asked_and_the_promise_is_kept(
    shared_world: World, no: Behaviour, state: str
) -> None:
    async with Buyer(bids("21.00"), no) as first, Buyer(bids("20.00")) as second:
        post = await sell(shared_world, market({"first": first, "second": second}))
        assert second.posts[0].json["price"] == "20.00"
        assert first.posts[0].json["attempt_id"] != second.posts[0].json["attempt_id"]
    assert (post["status"], post["price"]) == ("accepted", "17.85")
    assert await attempts(shared_world, post) == [("first", state), ("second", "accepted")]
    assert await margin_of(shared_world, post) == 2_150_000


async def test_when_nothing_was_sent_the_next_order_is_asked(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        document = market({"first": first, "second": second})
        with nobody() as url:
            document["buyers"]["first"]["endpoint"]["post_url"] = f"{url}/post"
            post = await sell(shared_world, document)
        assert not first.posts
    assert (post["status"], post["price"]) == ("accepted", "17.85")
    assert await attempts(shared_world, post) == [("first", "not_sent"), ("second", "accepted")]


async def test_the_ladder_goes_down_to_where_the_margin_is_nothing_and_no_further(shared_world: World) -> None:
    async with (
        Buyer(bids("21.00"), REJECTS) as first,
        Buyer(bids("17.85"), REJECTS) as even,
        Buyer(bids("17.84"), ACCEPTS) as short,
    ):
        document = market({"first": first, "even": even, "short": short})
        rejected = await sell(shared_world, document)
        assert (len(even.posts), len(short.posts)) == (1, 0)
        assert (rejected["status"], rejected["reason"]["code"]) == ("rejected", 502)
        even.on_post = ACCEPTS
        accepted = await sell(shared_world, document)
    assert (accepted["status"], accepted["price"]) == ("accepted", "17.85")
    assert await margin_of(shared_world, accepted) == 0


async def test_the_reason_of_a_ladder_that_ends_is_the_last_orders(shared_world: World) -> None:
    async with Buyer(bids("21.00"), REJECTS) as first, Buyer(bids("20.00"), DUPLICATE) as second:
        post = await sell(shared_world, market({"first": first, "second": second}))
    assert (post["status"], post["reason"]["code"]) == ("rejected", 503)


async def test_a_lead_that_reached_nobody_is_rejected_as_not_sent(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as only:
        document = market({"only": only})
        with nobody() as url:
            document["buyers"]["only"]["endpoint"]["post_url"] = f"{url}/post"
            post = await sell(shared_world, document)
    assert (post["status"], post["reason"]["code"]) == ("rejected", 504)


async def test_without_a_fallback_the_first_no_is_the_last(shared_world: World) -> None:
    async with Buyer(bids("21.00"), REJECTS) as first, Buyer(bids("20.00")) as second:
        post = await sell(shared_world, market({"first": first, "second": second}, fallback="none"))
        assert not second.posts
    assert (post["status"], post["reason"]["code"]) == ("rejected", 502)


async def test_too_little_time_for_another_attempt_ends_the_ladder(shared_world: World) -> None:
    async with Buyer(bids("21.00"), REJECTS) as first, Buyer(bids("20.00")) as second:
        post = await sell(shared_world, market({"first": first, "second": second}, **SHORT))
        assert not second.posts
    assert (post["status"], post["reason"]["code"]) == ("rejected", 502)


# --- who never is -------------------------------------------------------------------------------------------------

UNCLEAR: dict[str, Behaviour] = {
    "redirect": raw(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"),
    "redirect that keeps the method": raw(b"HTTP/1.1 307 T\r\nLocation: /post\r\nContent-Length: 0\r\n\r\n"),
    "bad request": says({"status": "rejected"}, 400),
    "not found": says({}, 404),
    "conflict that says duplicate": says({"status": "duplicate"}, 409),
    "too many requests": says({}, 429),
    "server error that says accepted": says({"status": "accepted"}, 500),
    "unavailable": says({}, 503),
    "empty": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "no json": says(b"<html>thank you</html>"),
    "another word": says({"status": "ok"}),
    "a word in capitals": says({"status": "ACCEPTED"}),
    "a list": says([{"status": "accepted"}]),
    "two statuses": says(b'{"status": "rejected", "status": "accepted"}'),
    "no status": says({"accepted": True}),
    "a status that is no text": says({"status": True}),
    "not http": raw(b"HELLO\r\n\r\n"),
    "connection lost": breaks_off,
}


@pytest.mark.parametrize("on_post", UNCLEAR.values(), ids=UNCLEAR.keys())
async def test_after_an_unclear_answer_nobody_else_is_offered_the_lead(shared_world: World, on_post: Behaviour) -> None:
    async with Buyer(bids("21.00"), on_post) as first, Buyer(bids("20.00")) as second:
        post = await sell(shared_world, market({"first": first, "second": second}))
        assert (len(first.posts), len(second.posts)) == (1, 0)
    assert (post["status"], post["reason"]["code"]) == ("pending", 505)
    assert await attempts(shared_world, post) == [("first", "unknown")]
    assert (await status_of(shared_world, post))["status"] == "pending"


@pytest.mark.parametrize(
    "on_post",
    [silent, raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b'{"status": "rejected"')],
    ids=["silence", "half an answer"],
)
async def test_after_silence_nobody_else_is_offered_the_lead(shared_world: World, on_post: Behaviour) -> None:
    async with Buyer(bids("21.00"), on_post) as first, Buyer(bids("20.00")) as second:
        post = await sell(shared_world, market({"first": first, "second": second}, **SHORT))
        assert (len(first.posts), len(second.posts)) == (1, 0)
    assert (post["status"], post["reason"]["code"]) == ("pending", 505)


async def test_an_unclear_answer_further_down_ends_the_ladder_too(shared_world: World) -> None:
    async with (
        Buyer(bids("21.00"), REJECTS) as first,
        Buyer(bids("20.00"), says({}, 500)) as second,
        Buyer(bids("19.00")) as third,
    ):
        post = await sell(shared_world, market({"first": first, "second": second, "third": third}))
        assert not third.posts
    assert (post["status"], post["reason"]["code"]) == ("pending", 505)
    assert await attempts(shared_world, post) == [("first", "rejected"), ("second", "unknown")]


# --- what has changed since the ping ------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["paused", "removed", "excluding", "without its secret", "another buyer's"])
async def test_an_order_that_can_no_longer_be_taken_is_skipped(shared_world: World, change: str) -> None:
    async with Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        document = market({"first": first, "second": second})
        await shared_world.apply(document)
        ping_id = (await shared_world.ping())["ping_id"]
        match change:
            case "paused":
                document["orders"]["first"]["paused"] = True
            case "removed":
                del document["orders"]["first"]
            case "excluding":
                document["orders"]["first"]["exclude_sellers"] = ["acme"]
            case "without its secret":
                document["buyers"]["first"]["endpoint"]["auth"] = {"bearer": "${env:NO_TEST_EVER_SETS_THIS}"}
            case _:
                document["orders"]["first"]["buyer"] = "second"
        await shared_world.apply(document)
        post = await shared_world.post(ping_id)
        assert not first.posts
    assert (post["status"], post["price"]) == ("accepted", "17.85")
    assert await attempts(shared_world, post) == [("second", "accepted")]


async def test_an_offer_whose_orders_are_all_gone_is_withdrawn(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as first, Buyer(bids("20.00")) as second:
        document = market({"first": first, "second": second})
        await shared_world.apply(document)
        ping_id = (await shared_world.ping())["ping_id"]
        await shared_world.apply(document | {"orders": {}})
        post = await shared_world.post(ping_id)
        assert first.posts == second.posts == []
    assert (post["status"], post["reason"]["code"]) == ("rejected", 506)
    assert await attempts(shared_world, post) == []
    assert (await status_of(shared_world, post))["status"] == "rejected"


async def test_a_new_price_or_filter_does_not_touch_an_offer(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as first:
        document = market({"first": first})
        await shared_world.apply(document)
        ping_id = (await shared_world.ping())["ping_id"]
        changed = market({"first": first}, floor="100.00", margin={"percent": 50})
        changed["orders"]["first"]["filter"] = {"state": ["NY"]}
        await shared_world.apply(changed)
        post = await shared_world.post(ping_id)
    assert (post["status"], post["price"]) == ("accepted", "17.85")


# --- late answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status", "code"),
    [("accepted", "accepted", None), ("rejected", "rejected", 502), ("duplicate", "rejected", 503)],
)
async def test_a_late_answer_is_what_can_be_read_and_the_replay_stays_pending(
    shared_world: World, word: str, status: str, code: int | None
) -> None:
    held = Held({"status": word, "redirect_url": "https://b.example/late"})
    async with Buyer(bids("21.00"), held) as first, Buyer(bids("20.00")) as second:
        post = await sell(shared_world, market({"first": first, "second": second}, **SHORT))
        assert (post["status"], post["reason"]["code"]) == ("pending", 505)
        held.release.set()
        found = await until(lambda: status_of(shared_world, post), lambda found: found["status"] != "pending")
        assert not second.posts
        replay = await shared_world.post(post["ping_id"])
    assert found["status"] == status
    assert replay == post
    if code is None:
        assert (found["price"], found["redirect_url"]) == ("17.85", "https://b.example/late")
    else:
        assert found["reason"]["code"] == code


async def test_a_late_answer_that_says_nothing_changes_nothing(shared_world: World) -> None:
    held = Held({}, 500)
    async with Buyer(bids("21.00"), held) as only:
        post = await sell(shared_world, market({"only": only}, **SHORT))
        open_before = len(only._writers)
        held.release.set()

        async def connections() -> int:
            return len(only._writers)

        await until(connections, lambda count: count < open_before)
        assert (await status_of(shared_world, post))["status"] == "pending"
    assert await attempts(shared_world, post) == [("only", "unknown")]


async def test_an_answer_that_comes_while_silence_is_being_recorded_counts(shared_world: World) -> None:
    held = Held({"status": "accepted"})
    async with Buyer(bids("21.00"), held) as only:
        await shared_world.apply(market({"only": only}, post_timeout_ms=2500))  # time enough to be first at the lock
        ping_id = (await shared_world.ping())["ping_id"]
        posting = asyncio.create_task(shared_world.post(ping_id))
        await held.asked.wait()
        open_before = len(only._writers)

        async def connections() -> int:
            return len(only._writers)

        async with shared_world.holding("select from attempts where ping_id = $1 for update", ping_id):
            await until(shared_world.waiting_for_locks, lambda count: count == 1)
            held.release.set()
            await until(connections, lambda count: count < open_before)  # the exchange has read the answer
        post = await posting
        assert post["status"] == "pending"
        await until(lambda: status_of(shared_world, post), lambda found: found["status"] == "accepted")


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize(("word", "status"), [("accepted", "accepted"), ("rejected", "rejected")])
async def test_an_answer_that_cannot_be_recorded_leaves_the_post_pending_until_it_can(
    services: Services, tmp_path: Path, word: str, status: str
) -> None:
    held = Held({"status": word})
    async with (
        Buyer(bids("21.00"), held) as first,
        Buyer(bids("20.00")) as second,
        open_world(services, tmp_path, postgres_timeout_s=0.3) as world,
    ):
        await world.apply(market({"first": first, "second": second}, post_timeout_ms=5000))
        posting = asyncio.create_task(world.post((await world.ping())["ping_id"]))
        await held.asked.wait()
        async with world.locked("attempts"):
            held.release.set()
            post = await posting
        assert (post["status"], post["reason"]["code"]) == ("pending", 505)
        await until(lambda: status_of(world, post), lambda found: found["status"] == status)
        assert await world.post(post["ping_id"]) == post
        assert (len(first.posts), len(second.posts)) == (1, 0)
        await world.assert_sound()


# --- many at once -------------------------------------------------------------------------------------------------


async def test_ladders_that_cross_do_not_block_one_another(shared_world: World) -> None:
    def prefers(age: int) -> Behaviour:
        return lambda asked: reply({"bid": "21.00" if asked.json["lead"]["age"] == age else "20.00"})

    refuse_first = {name: Held({"status": "rejected"}) for name in ("ann", "bob")}

    def buyer(name: str, age: int) -> Buyer:
        async def on_post(sent: Received) -> bytes:
            if sent.json["price"] == "21.00":
                return await refuse_first[name](sent)
            return reply({"status": "accepted"})

        return Buyer(prefers(age), on_post)

    async with buyer("ann", 30) as ann, buyer("bob", 60) as bob:
        await shared_world.apply(market({"ann": ann, "bob": bob}, post_timeout_ms=10_000))
        offers = [await shared_world.ping(LEAD | {"age": age}) for age in (30, 60)]
        posting = [asyncio.create_task(shared_world.post(offer["ping_id"])) for offer in offers]
        for held in refuse_first.values():
            await held.asked.wait()
        async with shared_world.holding("select from accounts where owner in ('ann', 'bob') for update"):
            for held in refuse_first.values():
                held.release.set()
            await until(shared_world.waiting_for_locks, lambda count: count == 2)
        assert [(await post)["status"] for post in posting] == ["accepted", "accepted"]
    await shared_world.assert_sound()


@pytest.mark.asyncio(loop_scope="function")
async def test_a_post_that_was_begun_is_finished_before_the_gateway_stops(services: Services, tmp_path: Path) -> None:
    held = Held({"status": "accepted"})
    async with Buyer(bids("21.00"), held) as only:
        async with open_world(services, tmp_path) as world:
            await world.apply(market({"only": only}))
            ping_id = (await world.ping())["ping_id"]
            posting = asyncio.create_task(world.send("/v1/post", {"ping_id": ping_id, "lead": CONTACT}))
            await held.asked.wait()
            asyncio.get_running_loop().call_later(0.2, held.release.set)
        async with open_world(services, tmp_path) as again:
            [row] = await again.rows("select state from posts where ping_id = $1", ping_id)
        await asyncio.gather(posting, return_exceptions=True)
    assert row["state"] == "accepted"
