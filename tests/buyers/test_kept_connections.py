"""Posts on connections that a buyer keeps open: never one that he may be about to close, and never sent twice."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.buyer import ACCEPTS, Answer, Buyer, Received, bids, reply, silent
from support.waiting import until

from exchange.buyers.delivery import Courier
from exchange.buyers.dialects.native import read_delivery
from exchange.buyers.spares import KEPT_MAX
from exchange.values.bid import Accepted, Delivery, NotSent, Unknown

KEEPS_S = 60.0


@pytest_asyncio.fixture
async def courier() -> AsyncIterator[Courier]:
    made = Courier(allow_private=True)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def buyer() -> AsyncIterator[Buyer]:
    async with Buyer(bids("1.00")) as made:
        yield made


async def deliver(courier: Courier, buyer: Buyer, keep_alive_s: float = KEEPS_S, timeout_ms: int = 5_000) -> Delivery:
    return await courier.deliver(f"{buyer.url}/post", {}, b"{}", timeout_ms, read_delivery, keep_alive_s=keep_alive_s)


async def open_at(buyer: Buyer) -> int:
    return buyer.open


async def test_posts_one_after_another_share_a_connection(courier: Courier, buyer: Buyer) -> None:
    for _ in range(3):
        assert isinstance(await deliver(courier, buyer), Accepted)

    assert (len(buyer.posts), buyer.connections) == (3, 1)
    assert "connection" not in buyer.posts[0].headers


async def test_a_buyer_of_whom_nothing_is_known_gets_a_connection_for_each_post(courier: Courier, buyer: Buyer) -> None:
    for _ in range(3):
        assert isinstance(await deliver(courier, buyer, 0), Accepted)

    assert (len(buyer.posts), buyer.connections) == (3, 3)
    assert buyer.posts[0].headers["connection"] == "close"


async def test_one_that_was_idle_for_half_of_the_buyers_time_is_closed_and_not_used(
    courier: Courier, buyer: Buyer
) -> None:
    await deliver(courier, buyer, 0.2)
    await until(lambda: open_at(buyer), lambda count: count == 0)
    await deliver(courier, buyer, 0.2)

    assert (len(buyer.posts), buyer.connections) == (2, 2)


async def test_a_buyer_who_closes_idle_connections_makes_no_unknown(courier: Courier, buyer: Buyer) -> None:
    for _ in range(5):
        assert isinstance(await deliver(courier, buyer), Accepted)
        buyer.hang_up()
        await until(lambda: open_at(buyer), lambda count: count == 0)
        await asyncio.sleep(0)

    assert (len(buyer.posts), buyer.connections) == (5, 5)


async def test_a_kept_connection_that_breaks_after_the_post_is_unknown_and_nothing_is_sent_again(
    courier: Courier, buyer: Buyer
) -> None:
    await deliver(courier, buyer)
    buyer.on_post = lambda _: None

    assert isinstance(await deliver(courier, buyer), Unknown)
    assert (len(buyer.posts), buyer.connections) == (2, 1)


async def test_a_silent_one_is_not_used_again(courier: Courier, buyer: Buyer) -> None:
    await deliver(courier, buyer)
    buyer.on_post = silent
    assert await deliver(courier, buyer, timeout_ms=100) == Unknown("silence")
    buyer.on_post = ACCEPTS

    assert isinstance(await deliver(courier, buyer), Accepted)
    assert (len(buyer.posts), buyer.connections) == (3, 2)


@pytest.mark.parametrize("told", [b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 21\r\n\r\n",
                                  b"HTTP/1.0 200 OK\r\nContent-Length: 21\r\n\r\n"])  # fmt: skip
async def test_a_buyer_who_says_that_he_closes_is_believed(courier: Courier, buyer: Buyer, told: bytes) -> None:
    buyer.on_post = lambda _: told + b'{"status":"accepted"}'
    for _ in range(2):
        assert isinstance(await deliver(courier, buyer), Accepted)

    assert buyer.connections == 2


async def test_what_is_said_unasked_ends_a_kept_connection(courier: Courier, buyer: Buyer) -> None:
    async def chatty(_: Received) -> Answer:
        asyncio.get_running_loop().call_later(0.05, buyer.say, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return reply({"status": "accepted"})

    buyer.on_post = chatty
    await deliver(courier, buyer)
    await until(lambda: open_at(buyer), lambda count: count == 0)
    buyer.on_post = ACCEPTS

    assert isinstance(await deliver(courier, buyer), Accepted)
    assert buyer.connections == 2


async def test_posts_at_once_have_a_connection_each_of_which_a_few_are_kept(courier: Courier, buyer: Buyer) -> None:
    count = KEPT_MAX + 4
    found = await asyncio.gather(*(deliver(courier, buyer) for _ in range(count)))
    await until(lambda: open_at(buyer), lambda left: left <= KEPT_MAX)

    assert all(isinstance(item, Accepted) for item in found)
    assert len(buyer.posts) == buyer.connections == count


async def test_what_is_too_late_leaves_no_connection_behind(courier: Courier, buyer: Buyer) -> None:
    await deliver(courier, buyer)
    url = f"{buyer.url}/post"
    said = await courier.deliver(url, {}, b"{}", 5_000, read_delivery, 0.0, keep_alive_s=KEEPS_S)

    assert isinstance(said, NotSent)
    await until(lambda: open_at(buyer), lambda count: count == 0)
    assert len(buyer.posts) == 1


async def test_a_courier_that_is_closed_keeps_none(courier: Courier, buyer: Buyer) -> None:
    await deliver(courier, buyer)
    await courier.close()

    await until(lambda: open_at(buyer), lambda count: count == 0)
