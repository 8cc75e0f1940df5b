"""Simulated buyers over real sockets: the native wire, HTTP as it is spoken, what is written down, and the doors."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from farm_client import CONTACT, PING_HEADERS, connected, first_line, log_of, one_buyer, ping, post, request

from exchange.simulation.conduct import Decision, PingMove, PostMove, plan_ping
from exchange.simulation.farm import Farm
from exchange.simulation.http_server import MESSAGE_BYTES_MAX
from exchange.simulation.manners import Manners, farm_buyers
from exchange.simulation.witness import Answered, PingSeen, PostAnswered, PostSeen, Violation

# The wire


async def test_a_bid_and_an_accepted_post_on_one_connection() -> None:
    async with one_buyer(bid_low_cents=2100, bid_high_cents=2100) as wire:
        bid = await wire.call(ping())
        assert (bid.status, bid.json["bid"]) == (200, "21.00")
        assert bid.json["bid_id"]
        accepted = await wire.call(post())
        assert (accepted.status, accepted.json["status"]) == (200, "accepted")
        assert accepted.json["reference"]


@pytest.mark.parametrize(("empty_pct", "status", "body"), [(100, 204, b""), (0, 200, b'{"bid":0')])
async def test_both_ways_to_say_no(empty_pct: float, status: int, body: bytes) -> None:
    async with one_buyer(appetite=0.0, empty_no_bid_pct=empty_pct) as wire:
        answer = await wire.call(ping())
        assert answer.status == status
        assert answer.body[: len(body)] == body
        assert ("content-length" in answer.headers) == (status == 200)
        assert (await wire.call(ping("p-2"))).status == status


async def test_two_requests_in_one_packet_are_answered_in_their_order() -> None:
    slow_first = next(
        (first, second)
        for first, second in ((f"p-{number}", f"q-{number}") for number in range(1000))
        if think_ms(first) > 60 and think_ms(second) < 5
    )
    async with one_buyer(think_ms=(0, 80), bid_low_cents=100, bid_high_cents=99999) as wire:
        wire.send(ping(slow_first[0]) + ping(slow_first[1]))
        answers = [(await wire.receive()).json["bid_id"] for _ in range(2)]
        alone = [(await wire.call(ping(ping_id))).json["bid_id"] for ping_id in slow_first]
    assert answers == alone


def think_ms(ping_id: str) -> float:
    return plan_ping(Manners("solo", think_ms=(0, 80)), 1, ping_id, "order-1").think_ms


async def test_a_request_in_many_packets_is_one_request() -> None:
    async with one_buyer() as wire:
        for octet in ping():
            wire.send(bytes([octet]))
            await asyncio.sleep(0)
        assert (await wire.receive()).status == 200


async def test_chunked_bodies_are_read() -> None:
    body = ping().partition(b"\r\n\r\n")[2]
    head = b"".join(f"{name}: {value}\r\n".encode() for name, value in PING_HEADERS.items())
    async with one_buyer() as wire:
        wire.send(b"POST /bid HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n" + head + b"\r\n")
        wire.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        assert (await wire.receive()).json["bid"] == "5.00"


async def test_more_pipelined_requests_than_are_queued_are_all_answered() -> None:
    async with one_buyer(think_ms=(1, 3)) as wire:
        wire.send(b"".join(ping(f"p-{number}") for number in range(500)))
        answers = [await wire.receive() for _ in range(500)]
    assert {answer.status for answer in answers} == {200}


async def test_a_connection_is_closed_where_the_request_says_so() -> None:
    async with one_buyer() as wire:
        assert (await wire.call(ping(headers={"Connection": "close"}))).status == 200
        assert await wire.at_end()


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (request("POST", "/bid", b"{", PING_HEADERS), 400),
        (request("POST", "/bid", b"", PING_HEADERS), 400),
        (request("POST", "/bid", b"[]", PING_HEADERS), 400),
        (request("POST", "/bid", b'{"ping_id": 1, "lead": {}}', PING_HEADERS), 400),
        (request("POST", "/bid", b'{"ping_id": "p"}', PING_HEADERS), 400),
        (ping(headers={"Exchange-Order": ""}), 400),
        (ping(headers={"Exchange-Timeout-Ms": ""}), 400),
        (post(headers={"Idempotency-Key": "another"}), 400),
        (post(price="21,00"), 400),
        (post(price=21), 400),
        (post(bid_id=7), 400),
        (post(test=None), 400),
        (post(order=None), 400),
        (request("POST", "/nowhere"), 404),
        (request("GET", "/bid"), 405),
        (request("POST", "/status"), 405),
    ],
)
async def test_wrong_calls_are_refused_and_the_connection_lives_on(call: bytes, status: int) -> None:
    async with one_buyer() as wire:
        assert (await wire.call(call)).status == status
        assert (await wire.call(ping())).status == 200


async def test_what_is_not_http_is_400_and_the_end() -> None:
    async with one_buyer() as wire:
        assert (await wire.call(b"\x16\x03\x01 hello\r\n\r\n")).status == 400
        assert await wire.at_end()


@pytest.mark.parametrize(
    "call", [request("POST", "/bid", b" " * MESSAGE_BYTES_MAX), request("GET", "/" + "x" * MESSAGE_BYTES_MAX)]
)
async def test_what_is_too_large_is_413_and_the_end(call: bytes) -> None:
    async with one_buyer() as wire:
        wire.send(call[: MESSAGE_BYTES_MAX + 1])
        assert (await wire.receive()).status == 413
        assert await wire.at_end()


async def test_the_bearer_token_is_demanded(tmp_path: Path) -> None:
    async with one_buyer(tmp_path, bearer="s3cret") as wire:
        assert (await wire.call(ping())).status == 401
        assert (await wire.call(ping(headers={"Authorization": "Bearer wrong"}))).status == 401
        assert (await wire.call(ping(headers={"Authorization": "Bearer s3cret"}))).status == 200
    assert log_of(tmp_path)[:2] == [Violation("unauthorized", "/bid")] * 2


# What he writes down


async def test_the_log_says_what_was_seen_and_decided_and_nothing_of_the_lead(tmp_path: Path) -> None:
    async with one_buyer(tmp_path) as wire:
        bid = (await wire.call(ping())).json
        await wire.call(post(bid_id=bid["bid_id"], price="5.00"))
    assert log_of(tmp_path) == [
        PingSeen("p-1", "order-1", PingMove.BID, 5_000_000, bid["bid_id"]),
        PostSeen("a-1", "p-1", "order-1", 5_000_000, bid["bid_id"], False, PostMove.ACCEPT, Decision.ACCEPTED),
        PostAnswered("a-1", Answered.REPLY),
    ]
    text = (tmp_path / "solo.jsonl").read_text()
    assert not any(value in text for value in (*CONTACT.values(), "60601", "41"))


async def test_a_line_is_in_the_file_before_its_answer_leaves(tmp_path: Path) -> None:
    async with one_buyer(tmp_path, late_accept_pct=100, late_ms=60_000) as wire:
        wire.send(post())
        await first_line(tmp_path)
        assert [type(entry) for entry in log_of(tmp_path)] == [PostSeen]


@pytest.mark.parametrize("field", ["phone", "email", "first_name", "last_name", "street"])
async def test_contact_data_in_a_ping_is_refused_and_written_down(field: str, tmp_path: Path) -> None:
    async with one_buyer(tmp_path) as wire:
        assert (await wire.call(ping(lead={"zip": "60601", field: "something"}))).status == 400
    assert log_of(tmp_path) == [Violation("contact_data_in_ping", "p-1", field)]


@pytest.mark.parametrize("field", ["seller", "source", "ref", "min_price"])
async def test_a_ping_that_shows_the_seller_is_refused_and_written_down(field: str, tmp_path: Path) -> None:
    async with one_buyer(tmp_path) as wire:
        assert (await wire.call(ping("p-1", None, **{field: "something"}))).status == 400
    assert log_of(tmp_path) == [Violation("seller_shown_in_ping", "p-1", field)]


async def test_a_post_without_contact_data_is_refused_and_written_down(tmp_path: Path) -> None:
    async with one_buyer(tmp_path) as wire:
        assert (await wire.call(post(lead={"zip": "60601"}))).status == 400
    assert log_of(tmp_path) == [Violation("no_contact_data_in_post", "a-1")]


# Repeats


async def test_a_repeated_post_has_the_same_answer_and_one_line(tmp_path: Path) -> None:
    async with one_buyer(tmp_path, reject_pct=50) as wire:
        for attempt_id in ("a-1", "a-2", "a-3", "a-4"):
            answers = [await wire.call(post(attempt_id)) for _ in range(3)]
            assert len({answer.body for answer in answers}) == 1
    decided = [entry for entry in log_of(tmp_path) if isinstance(entry, PostSeen)]
    assert [entry.attempt_id for entry in decided] == ["a-1", "a-2", "a-3", "a-4"]
    assert {entry.decision for entry in decided} == {Decision.ACCEPTED, Decision.REJECTED}


async def test_a_buyer_who_was_restarted_remembers_his_posts(tmp_path: Path) -> None:
    answers = []
    for _ in range(2):
        async with one_buyer(tmp_path, reject_pct=50) as wire:
            answers.append((await wire.call(post())).body)
            assert (await wire.call(request("GET", "/status?attempt_id=a-1"))).json["status"] != "not_found"
    assert answers[0] == answers[1]
    assert sum(isinstance(entry, PostSeen) for entry in log_of(tmp_path)) == 1


async def test_answers_depend_on_the_ids_alone() -> None:
    names = [f"p-{number}" for number in range(60)]
    heard = []
    for order in (names, names[::-1]):
        async with one_buyer(appetite=0.6, bid_low_cents=100, bid_high_cents=9999) as wire:
            answers = {name: await wire.call(ping(name)) for name in order}
            heard.append({name: (answer.status, answer.body) for name, answer in answers.items()})
    assert heard[0] == heard[1]
    assert len({status for status, _ in heard[0].values()}) == 2


@pytest.mark.parametrize(
    ("manners", "status"),
    [({}, "accepted"), ({"reject_pct": 100}, "rejected"), ({"duplicate_pct": 100}, "rejected")],
)
async def test_the_status_query_knows_what_was_decided(manners: dict[str, Any], status: str) -> None:
    async with one_buyer(**manners) as wire:
        assert (await wire.call(request("GET", "/status?attempt_id=a-1"))).json == {"status": "not_found"}
        await wire.call(post())
        assert (await wire.call(request("GET", "/status?attempt_id=a-1"))).json == {"status": status}


# Doors


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_closed_door_refuses_and_opens_again(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        states = runner.run(watch_the_door())
    assert states in ([True, False, True, False], [False, True, False, True])


async def watch_the_door() -> list[bool]:
    async with Farm([Manners("solo", closed_pct=50)], seed=1, round_s=0.4) as farm:
        port = farm.ports["solo"]
        states: list[bool] = []
        async with asyncio.timeout(60):
            while len(states) < 4:
                is_open = await answers(port)
                if states[-1:] != [is_open]:
                    states.append(is_open)
                await asyncio.sleep(0.01)
    return states


async def answers(port: int) -> bool:
    try:
        async with connected(port) as wire:
            return (await wire.call(ping())).status == 200
    except (ConnectionRefusedError, ConnectionResetError, asyncio.IncompleteReadError):
        return False


async def test_a_door_that_never_opens_refuses_every_call() -> None:
    async with Farm([Manners("solo", closed_pct=100)], seed=1) as farm:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", farm.ports["solo"])


async def test_a_call_under_way_is_answered_when_the_door_closes() -> None:
    async with Farm([Manners("solo", think_ms=(300, 300))], seed=1) as farm, connected(farm.ports["solo"]) as wire:
        wire.send(ping())
        await asyncio.sleep(0.05)
        farm._stalls[0].shut()
        assert (await wire.receive()).status == 200
        assert await wire.at_end()


async def test_a_farm_that_cannot_start_leaves_nothing_open() -> None:
    async with Farm(farm_buyers(1), seed=1) as taken:
        port = taken.ports["buyer-01"]
        with pytest.raises(OSError, match="in use"):
            await Farm(farm_buyers(3), seed=1, base_port=port - 1).start()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port - 1)


async def test_every_buyer_has_a_port_and_a_log_of_his_own(tmp_path: Path) -> None:
    async with Farm(farm_buyers(5), seed=1, log_dir=tmp_path) as farm:
        for name, port in farm.ports.items():
            async with connected(port) as wire:
                await wire.call(ping(f"ping-of-{name}"))
    for name in (manners.name for manners in farm_buyers(5)):
        (line,) = (tmp_path / f"{name}.jsonl").read_text().splitlines()
        assert json.loads(line)["ping_id"] == f"ping-of-{name}"
