"""What is wrong with a request is said in a fixed order, with the contract's status and code, as problem+json."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.buyer import Buyer, bids, says
from support.market import CONTACT, LEAD, Document, market
from support.waiting import until
from support.world import World

from exchange.storage import keys
from exchange.values.ids import uuid7

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY_BYTES_MAX = 65_536
NOBODY = "http://127.0.0.1:9"
WHOLE = LEAD | CONTACT
DOORS = {"/v1/ping": LEAD, "/v1/leads": WHOLE}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def send(
    world: World, path: str, content: object, media_type: str | None = "application/json", seller: str = "acme"
) -> httpx.Response:
    """Sends bytes as they are, and anything else as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    headers = bearer(world.keys[seller]) | ({} if media_type is None else {"Content-Type": media_type})
    return await world.client.post(path, content=body, headers=headers)


def problem(answer: httpx.Response, status: int, code: str) -> Document:
    """The problem document, once it is certain that it is one."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: Document = answer.json()
    assert found.keys() - {"errors"} == {"type", "title", "status", "code", "detail"}
    assert found["status"] == status
    assert all(isinstance(found[name], str) for name in ("type", "title", "code", "detail"))
    for error in found.get("errors", [{"field": "", "code": "", "detail": ""}]):
        assert error.keys() == {"field", "code", "detail"}
        assert all(isinstance(value, str) for value in error.values())
    return found


def fields(found: Document) -> list[tuple[str, str]]:
    return [(error["field"], error["code"]) for error in found["errors"]]


# --- the order of checks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", DOORS)
async def test_key_size_media_type_json_shape_campaign_and_lead_are_checked_in_this_order(
    shared_world: World, path: str
) -> None:
    await shared_world.apply(market({"only": NOBODY}))
    bad_lead = {"campaign": "auto-us", "lead": {"zip": "1"}}
    large = b"{" + b" " * BODY_BYTES_MAX
    problem(await shared_world.client.post(path, content=large), 401, "unauthorized")
    problem(await send(shared_world, path, large, "text/plain"), 413, "too_large")
    problem(await send(shared_world, path, b"{", "text/plain"), 415, "unsupported_media_type")
    problem(
        await send(shared_world, path, b'{"campaign": "nowhere", "unknown": 1', seller="shut"), 400, "malformed_json"
    )
    shapeless = {"campaign": "nowhere", "unknown": 1, "lead": {}}
    problem(await send(shared_world, path, shapeless, seller="shut"), 422, "invalid_request")
    elsewhere = bad_lead | {"campaign": "nowhere"}
    problem(await send(shared_world, path, elsewhere, seller="shut"), 404, "unknown_campaign")
    problem(await send(shared_world, path, bad_lead, seller="shut"), 403, "forbidden")
    problem(await send(shared_world, path, bad_lead), 422, "invalid_lead")


async def test_a_post_is_checked_in_the_same_order_with_its_ping_before_its_campaign(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        document = market({"only": buyer})
        await shared_world.apply(document)
        ping_id = (await shared_world.ping())["ping_id"]
        path = "/v1/post"
        bad = {"ping_id": ping_id, "lead": {}}
        problem(await shared_world.client.post(path, content=b"{"), 401, "unauthorized")
        problem(await send(shared_world, path, b" " * (BODY_BYTES_MAX + 1), "text/plain"), 413, "too_large")
        problem(await send(shared_world, path, b"{", "text/plain"), 415, "unsupported_media_type")
        problem(await send(shared_world, path, b"{"), 400, "malformed_json")
        problem(await send(shared_world, path, bad | {"campaign": "auto-us"}), 422, "invalid_request")
        problem(await send(shared_world, path, bad | {"ping_id": str(uuid7())}), 404, "unknown_ping")
        await shared_world.apply(document | {"sellers": {"acme": {"campaigns": []}}})
        problem(await send(shared_world, path, bad), 403, "forbidden")
        await shared_world.apply(document)
        problem(await send(shared_world, path, bad), 422, "invalid_lead")


# --- keys ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer x y"},
        bearer("nonsense"),
        bearer("lx_AAAAAAAAAAAA_" + "A" * 32),
        bearer("lx_AAAAAAAAAAAA_" + "A" * 32 + "A"),
        {"Authorization": "Basic YWNtZTphY21l"},
    ],
)
async def test_a_key_that_does_not_hold_opens_no_door(shared_world: World, headers: dict[str, str]) -> None:
    for path in ("/v1/ping", "/v1/post", "/v1/leads"):
        refused = await shared_world.client.post(path, json={}, headers=headers)
        problem(refused, 401, "unauthorized")
        assert refused.headers["www-authenticate"] == "Bearer"
    for path in (f"/v1/pings/{uuid7()}", f"/v1/posts/{uuid7()}"):
        problem(await shared_world.client.get(path, headers=headers), 401, "unauthorized")


async def test_the_public_half_of_a_key_opens_nothing(shared_world: World) -> None:
    key = shared_world.keys["acme"]
    forged = key[:-1] + ("A" if key[-1] != "A" else "B")
    problem(await shared_world.client.post("/v1/ping", json={}, headers=bearer(forged)), 401, "unauthorized")


async def test_the_scheme_of_a_key_may_be_written_in_any_case(shared_world: World) -> None:
    headers = {"Authorization": f"bEARER {shared_world.keys['acme']}"}
    problem(await shared_world.client.post("/v1/ping", json={}, headers=headers), 422, "invalid_request")


async def test_a_key_of_an_operator_speaks_for_no_seller(shared_world: World) -> None:
    key = await keys.create(shared_world.database, role="operator", seller=None)
    problem(await shared_world.client.post("/v1/ping", json={}, headers=bearer(key)), 403, "forbidden")


async def test_a_revoked_key_ends_within_five_seconds(shared_world: World) -> None:
    key = await keys.create(shared_world.database, role="seller", seller="acme")

    async def status() -> int:
        return (await shared_world.client.post("/v1/ping", json={}, headers=bearer(key))).status_code

    assert await status() == 422
    assert await keys.revoke(shared_world.database, key)
    await until(status, lambda found: found == 401, within_s=5)


# --- size, media type, JSON ---------------------------------------------------------------------------------------


async def in_chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 10_000):
        yield content[start : start + 10_000]


@pytest.mark.parametrize("path", ["/v1/ping", "/v1/post", "/v1/leads"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["with a length", "in chunks"])
async def test_a_body_of_64_kib_is_read_and_one_byte_more_is_not(
    shared_world: World, path: str, is_chunked: bool
) -> None:
    headers = bearer(shared_world.keys["acme"]) | {"Content-Type": "application/json"}
    for size, status, code in ((BODY_BYTES_MAX, 422, "invalid_request"), (BODY_BYTES_MAX + 1, 413, "too_large")):
        body = b"{}" + b" " * (size - 2)
        content = in_chunks(body) if is_chunked else body
        problem(await shared_world.client.post(path, content=content, headers=headers), status, code)


async def test_a_body_far_too_large_is_refused_before_it_is_sent(shared_world: World) -> None:
    parts = urlsplit(str(shared_world.client.base_url))
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"POST /v1/ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shared_world.keys['acme']}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n".encode())
    async with asyncio.timeout(2):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.transport.abort()


@pytest.mark.parametrize(
    "media_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "text/json",
        "application/json; charset=latin-1",
    ],
)
async def test_other_media_types_are_refused(shared_world: World, media_type: str | None) -> None:
    problem(await send(shared_world, "/v1/ping", b"{}", media_type), 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
async def test_json_may_be_announced_in_any_of_its_spellings(shared_world: World, media_type: str) -> None:
    problem(await send(shared_world, "/v1/ping", b"{}", media_type), 422, "invalid_request")


@pytest.mark.parametrize(
    "content",
    [
        b"", b" ", b"{", b"{}{}", b"{'campaign': 1}", b'{"campaign": }', b'{"a": 1,}', b"[1,]", b"nul", b"NaN", b"01",
        b'{"min_price": NaN}', b'{"min_price": -Infinity}', b'{"ref": "a\nb"}', b'{"ref": "\x00"}', b'{"ref": "\\x"}',
        b'{"ref": "\xff"}', b'{"ref": "\xed\xa0\x80"}', b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b"[" * 50_000,
    ],
)  # fmt: skip
async def test_what_is_not_json_in_utf_8_is_malformed(shared_world: World, content: bytes) -> None:
    for path in ("/v1/ping", "/v1/post", "/v1/leads"):
        problem(await send(shared_world, path, content), 400, "malformed_json")


# --- shape --------------------------------------------------------------------------------------------------------


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


# --- pings and posts that are not there, or not any more ----------------------------------------------------------


async def test_a_ping_of_nobody_of_another_seller_unsold_or_expired_cannot_be_posted(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        theirs = (await shared_world.ping(seller="other"))["ping_id"]
        expired = (await shared_world.ping())["ping_id"]
        await shared_world.rows("update pings set expires_at = now() where ping_id = $1 returning 1", expired)
        buyer.on_ping = says({"bid": 0})
        unsold = (await shared_world.ping())["ping_id"]
        await shared_world.reasons(unsold)
        for ping_id, status, code in (
            (str(uuid7()), 404, "unknown_ping"),
            ("nonsense", 404, "unknown_ping"),
            (theirs, 404, "unknown_ping"),
            (unsold, 409, "not_offered"),
            (expired, 410, "offer_expired"),
        ):
            problem(await send(shared_world, "/v1/post", {"ping_id": ping_id, "lead": CONTACT}), status, code)
        assert not buyer.posts


async def test_a_lead_with_errors_is_told_so_even_where_its_offer_has_expired(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        expired = (await shared_world.ping())["ping_id"]
        await shared_world.rows("update pings set expires_at = now() where ping_id = $1 returning 1", expired)
        problem(await send(shared_world, "/v1/post", {"ping_id": expired, "lead": {}}), 422, "invalid_lead")


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/ping/", "/v1/leads/", "/v1/pings", "/v1/pings/", "/v2/ping", "/x%00y"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_path_that_is_not_there_is_not_found(shared_world: World, method: str, path: str) -> None:
    problem(await shared_world.client.request(method, path), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "allowed", "methods"),
    [
        ("/v1/ping", {"POST"}, ["GET", "PUT", "DELETE", "PATCH"]),
        ("/v1/post", {"POST"}, ["GET", "PUT"]),
        ("/v1/leads", {"POST"}, ["GET", "PUT"]),
        ("/v1/pings/x", {"GET", "HEAD"}, ["POST", "PUT", "DELETE"]),
        ("/v1/posts/x", {"GET", "HEAD"}, ["POST", "PUT", "DELETE"]),
    ],
)
async def test_a_method_that_a_path_does_not_have_is_not_allowed(
    shared_world: World, path: str, allowed: set[str], methods: list[str]
) -> None:
    for method in methods:
        refused = await shared_world.client.request(method, path, headers=bearer(shared_world.keys["acme"]))
        problem(refused, 405, "method_not_allowed")
        assert {item.strip() for item in refused.headers["allow"].split(",")} == allowed


async def test_half_a_request_is_none_even_where_it_reads_like_a_whole_one(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        parts = urlsplit(str(shared_world.client.base_url))
        for framing in ("Content-Length: 500\r\n\r\n{}", "Transfer-Encoding: chunked\r\n\r\n200\r\n{}"):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            body = json.dumps({"campaign": "auto-us", "lead": WHOLE})
            head = f"POST /v1/leads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shared_world.keys['acme']}\r\n"
            writer.write((f"{head}Content-Type: application/json\r\n" + framing.format(body)).encode())
            await writer.drain()
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        await shared_world.ping()
        assert len(buyer.pings) == 1


@pytest.mark.asyncio(loop_scope="function")
async def test_before_any_market_no_campaign_is_known(world: World) -> None:
    problem(await send(world, "/v1/ping", {"campaign": "auto-us", "lead": LEAD}), 404, "unknown_campaign")
    assert (await world.client.get("/readyz")).status_code == 503
    await world.apply(market({}))
    assert (await world.client.get("/readyz")).status_code == 200
