"""What is wrong with a request is said in a fixed order, with the contract's status and code, as problem+json."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from support.buyer import Buyer, bids, says
from support.market import CONTACT, LEAD, market
from support.problems import bearer, problem, send
from support.waiting import until
from support.world import World

from exchange.storage import keys
from exchange.values.ids import uuid7

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY_BYTES_MAX = 65_536
NOBODY = "http://127.0.0.1:9"
WHOLE = LEAD | CONTACT
DOORS = {"/v1/ping": LEAD, "/v1/leads": WHOLE}


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
    async with asyncio.timeout(60):
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


@pytest.mark.parametrize(("coding", "status"), [("gzip", 415), ("br", 415), ("identity", 422)])
async def test_a_body_that_is_coded_is_told_so_and_not_that_its_json_is_bad(
    shared_world: World, coding: str, status: int
) -> None:
    answer = await shared_world.send("/v1/ping", {}, **{"Content-Encoding": coding})
    problem(answer, status, "unsupported_media_type" if status == 415 else "invalid_request")


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


# --- pings and posts that are not there, or not any more ----------------------------------------------------------


async def ping_status(world: World, ping_id: str) -> str:
    return str((await world.get(f"/v1/pings/{ping_id}")).json()["status"])


async def test_a_ping_of_nobody_of_another_seller_unsold_or_expired_cannot_be_posted(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}, offer_ttl_s=1))
        theirs = (await shared_world.ping(seller="other"))["ping_id"]
        expired = (await shared_world.ping())["ping_id"]
        await until(lambda: ping_status(shared_world, expired), lambda found: found == "expired")
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
