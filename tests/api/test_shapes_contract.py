"""The shape of a request: every key of another type, size or name is listed at once, and bad texts are refused."""

import json
from typing import Any

import pytest
from support.market import CONTACT, LEAD, market
from support.problems import bearer, fields, problem, send
from support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHOLE = LEAD | CONTACT
DOORS = {"/v1/ping": LEAD, "/v1/leads": WHOLE}


@pytest.mark.parametrize("content", [b"[]", b"null", b"1", b'"campaign"', b"true"])
async def test_a_body_that_is_no_object_has_the_wrong_shape(shared_world: World, content: bytes) -> None:
    for path in ("/v1/ping", "/v1/post", "/v1/leads"):
        problem(await send(shared_world, path, content), 422, "invalid_request")


@pytest.mark.parametrize(
    ("path", "names"),
    [("/v1/ping", ["campaign", "lead"]), ("/v1/leads", ["campaign", "lead"]), ("/v1/post", ["ping_id", "lead"])],
)
async def test_what_is_missing_and_what_is_unknown_is_listed_at_once(
    shared_world: World, path: str, names: list[str]
) -> None:
    found = problem(await send(shared_world, path, {"tier": 1, "Campaign": "x"}), 422, "invalid_request")
    assert sorted(fields(found)) == sorted(
        [(name, "required") for name in names] + [("tier", "unknown_key"), ("Campaign", "unknown_key")]
    )


@pytest.mark.parametrize("many", [{}, {"identity_hashes": {f"k{number}": "f" * 64 for number in range(700)}}])
async def test_an_answer_does_not_name_unknown_keys_without_end(shared_world: World, many: dict[str, Any]) -> None:
    await shared_world.apply(market({}))
    offered = {"campaign": "auto-us", "lead": LEAD} | (many or {f"k{number}": 0 for number in range(5_000)})
    found = problem(await send(shared_world, "/v1/ping", offered), 422, "invalid_request")
    assert [code for _, code in fields(found)] == ["unknown_key"] * 50


WRONG: list[tuple[str, Any]] = [
    ("campaign", None), ("campaign", ""), ("campaign", 1), ("campaign", ["auto-us"]),
    ("lead", None), ("lead", []), ("lead", "zip"), ("lead", 1),
    ("source", 1), ("source", "s" * 256), ("ref", {}), ("ref", "r" * 256),
    ("test", "true"), ("test", 1), ("test", []),
    ("min_price", "five"), ("min_price", -1), ("min_price", "-1.00"), ("min_price", True), ("min_price", {}),
    ("min_price", "1e2"), ("min_price", "1234567890123"), ("min_price", 1234567890123), ("min_price", "0.0000001"),
    ("min_price", 1e-7), ("min_price", 1e300),
]  # fmt: skip
WRONG_PINGS: list[tuple[str, Any]] = [
    ("timeout_ms", 49), ("timeout_ms", 0), ("timeout_ms", -1), ("timeout_ms", "700"), ("timeout_ms", 700.5),
    ("timeout_ms", True), ("timeout_ms", []),
    ("identity_hashes", []), ("identity_hashes", "f" * 64), ("identity_hashes", {"phone": 1}),
    ("identity_hashes", {"phone": "f" * 63}), ("identity_hashes", {"phone": "+13125550123"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [(path, *case) for path in DOORS for case in WRONG] + [("/v1/ping", *case) for case in WRONG_PINGS],
)
async def test_a_value_of_another_type_or_size_is_named(shared_world: World, path: str, name: str, value: Any) -> None:
    offered = {"campaign": "auto-us", "lead": DOORS[path]} | {name: value}
    assert fields(problem(await send(shared_world, path, offered), 422, "invalid_request")) == [(name, "wrong_type")]


@pytest.mark.parametrize(
    "written", ["0.10000000000000000000000000000000000000000000000001", "5.0000001", "1e400", "1" * 400, "5e0"]
)
async def test_an_amount_as_a_number_is_read_from_its_text(shared_world: World, written: str) -> None:
    body = f'{{"campaign": "auto-us", "lead": {json.dumps(LEAD)}, "min_price": {written}}}'.encode()
    assert fields(problem(await send(shared_world, "/v1/ping", body), 422, "invalid_request")) == [
        ("min_price", "wrong_type")
    ]


@pytest.mark.parametrize("written", ["0.1", "5", "5.00", "999999999999.999999", '"999999999999.999999"', '"0"', "null"])
async def test_amounts_that_can_be_written_are_taken(shared_world: World, written: str) -> None:
    await shared_world.apply(market({}))
    body = f'{{"campaign": "auto-us", "lead": {json.dumps(LEAD)}, "min_price": {written}}}'.encode()
    answer = await send(shared_world, "/v1/ping", body)
    assert (answer.status_code, answer.json()["status"]) == (200, "unsold")


async def test_a_hash_of_what_tells_nobody_apart_is_unknown(shared_world: World) -> None:
    await shared_world.apply(market({}))
    offered = {"campaign": "auto-us", "lead": LEAD, "identity_hashes": {"zip": "f" * 64}}
    found = problem(await send(shared_world, "/v1/ping", offered), 422, "invalid_request")
    assert fields(found) == [("identity_hashes.zip", "unknown_key")]


@pytest.mark.parametrize("bad", ["\\u0000", "\\ud800", "\\udfff", "\\ud800\\ud800"])
@pytest.mark.parametrize(
    ("where", "code"),
    [
        ('"ref": "a{}b"', "invalid_request"),
        ('"source": "{}"', "invalid_request"),
        ('"{}": 1', "invalid_request"),
        ('"identity_hashes": {{"{}": "x"}}', "invalid_request"),
        ('"lead": {{"zip": "60601", "note{}": 1}}', "invalid_lead"),
        ('"lead": {{"zip": "6{}0601"}}', "invalid_lead"),
        ('"lead": {{"zip": "60601", "other": ["deep", {{"x": "{}"}}]}}', "invalid_lead"),
    ],
)
async def test_nul_and_lone_surrogates_are_refused_anywhere(
    shared_world: World, where: str, code: str, bad: str
) -> None:
    await shared_world.apply(market({}))
    lead = "" if where.startswith('"lead"') else f', "lead": {json.dumps(LEAD)}'
    body = f'{{"campaign": "auto-us", {where.format(bad)}{lead}}}'
    found = problem(await send(shared_world, "/v1/ping", body.encode()), 422, code)
    assert [error[1] for error in fields(found)] == ["invalid_text"]


async def test_a_whole_surrogate_pair_is_a_text_like_any_other(shared_world: World) -> None:
    await shared_world.apply(market({}))
    body = f'{{"campaign": "auto-us", "ref": "\\ud83e\\udd84", "lead": {json.dumps(LEAD)}}}'
    answer = await send(shared_world, "/v1/ping", body.encode())
    await shared_world.reasons(answer.json()["ping_id"])
    [row] = await shared_world.rows("select ref from pings where ping_id = $1", answer.json()["ping_id"])
    assert row["ref"] == "🦄"


@pytest.mark.parametrize("path", ["/v1/post", "/v1/leads"])
async def test_a_deep_lead_under_a_key_is_refused_and_not_a_failure(shared_world: World, path: str) -> None:
    deep = b"[" * 500 + b"]" * 500
    body = b'{"campaign": "auto-us", "ping_id": "x", "lead": {"extra": ' + deep + b"}}"
    headers = {"Idempotency-Key": "deep", "Content-Type": "application/json"} | bearer(shared_world.keys["acme"])
    problem(await shared_world.client.post(path, content=body, headers=headers), 422, "invalid_request")
