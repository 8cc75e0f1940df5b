"""The admin API on a running gateway: roles, explanations, versions, changes of the market, and the way back."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest
from support.buyer import Buyer, bids
from support.market import CONTACT, LEAD, Document, market
from support.shares import both_ways
from support.world import World
from test_openapi import assert_documented, openapi

from exchange.past.explanation import Explanation
from exchange.past.recall import Past
from exchange.past.told import told
from exchange.storage import keys
from exchange.values.ids import uuid7

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = "http://127.0.0.1:9"
ADMIN = "/admin/v1"
PATHS = [
    ("GET", f"{ADMIN}/pings/01a204b7-dced-713b-ad16-8f33d863818d/explanation"),
    ("GET", f"{ADMIN}/market"),
    ("PUT", f"{ADMIN}/market"),
    ("POST", f"{ADMIN}/market/rollback"),
    ("GET", f"{ADMIN}/market/versions"),
    ("GET", f"{ADMIN}/market/versions/1"),
    ("PUT", f"{ADMIN}/market/orders/high"),
    ("DELETE", f"{ADMIN}/market/buyers/high"),
    ("GET", f"{ADMIN}/breakers"),
    ("POST", f"{ADMIN}/breakers/high/reset"),
]


class Operator:
    """Speaks to the admin API with an operator's key, and compares each answer with its documentation."""

    def __init__(self, world: World, key: str, document: Document) -> None:
        self._world = world
        self._key = key
        self._document = document

    @property
    def key_id(self) -> str:
        return self._key.split("_")[1]

    async def send(self, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        content = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"} | headers
        answer = await self._world.client.request(method, f"{ADMIN}{path}", content=content, headers=sent)
        assert_documented(self._document, answer)
        return answer

    async def get(self, path: str) -> Any:
        answer = await self.send("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def operator_of(world: World) -> Operator:
    return Operator(world, await keys.create(world.database, role="operator", seller=None), await openapi(world))


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_only_operators_come_in(shared_world: World, method: str, path: str) -> None:
    document = await openapi(shared_world)
    for header, status in (({}, 401), ({"Authorization": "Bearer lx_no"}, 401), ({"Authorization": "Basic x"}, 401)):
        answer = await shared_world.client.request(method, path, headers=header)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (status, "Bearer")
        assert_documented(document, answer)
    seller = {"Authorization": f"Bearer {shared_world.keys['acme']}"}
    answer = await shared_world.client.request(method, path, headers=seller)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert_documented(document, answer)


async def test_every_route_is_documented_with_its_key(shared_world: World) -> None:
    document = await openapi(shared_world)
    found = {path: set(item) for path, item in document["paths"].items() if path.startswith(ADMIN)}
    sections = ("verticals", "campaigns", "sellers", "buyers", "orders")
    assert found == {
        f"{ADMIN}/breakers": {"get"},
        f"{ADMIN}/breakers/{{buyer}}/reset": {"post"},
        f"{ADMIN}/pings/{{ping_id}}/explanation": {"get"},
        f"{ADMIN}/market": {"get", "put"},
        f"{ADMIN}/market/rollback": {"post"},
        f"{ADMIN}/market/versions": {"get"},
        f"{ADMIN}/market/versions/{{number}}": {"get"},
    } | {f"{ADMIN}/market/{section}/{{key}}": {"put", "delete"} for section in sections}
    for path, methods in found.items():
        for method in methods:
            described = document["paths"][path][method]
            assert described["security"] == [{"key": []}]
            assert {"200", "401", "403", "422", "500", "503"} <= set(described["responses"])


async def test_an_explanation_is_that_of_the_command(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as high, Buyer(bids("18.00")) as low:
        document = market({"high": high, "low": low})
        document["orders"]["old"] = {"buyer": "low", "campaign": "auto-us", "filter": {"age": {"min": 60}}}
        await shared_world.apply(document)
        offered = await shared_world.ping()
        await shared_world.post(offered["ping_id"])
        operator = await operator_of(shared_world)
        while_in_force = await operator.get(f"/pings/{offered['ping_id']}/explanation?replay=true")
        await shared_world.apply(market({}))
    found = await operator.get(f"/pings/{offered['ping_id']}/explanation?replay=true")
    assert found == while_in_force
    assert [(item["order"], item["reason"]["code"]) for item in found["orders"]] == [
        ("high", 2), ("low", 307), ("old", 201),
    ]  # fmt: skip
    assert found["replay"] == {"same": True, "winners": ["high"], "payout": "17.85", "differences": []}
    assert [item["order"] for item in found["post"]["attempts"]] == ["high"]
    assert found["lead"] == LEAD | {"state": "IL"}
    assert CONTACT["first_name"] not in json.dumps(found)
    again = await operator.get(f"/pings/{offered['ping_id']}/explanation")
    assert again == found | {"replay": None}
    for unknown in (str(uuid7()), "x"):
        answer = await operator.send("GET", f"/pings/{unknown}/explanation")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_ping")
    assert (await operator.send("GET", f"/pings/{unknown}/explanation?replay=perhaps")).status_code == 422


@pytest.mark.parametrize(
    "campaign", [{"sale": "best", "max_shares": 2}, {"method": "round_robin", "fallback_method": "highest_bid"}]
)
async def test_an_explanation_leaves_nothing_out(shared_world: World, campaign: Document) -> None:
    async with Buyer(both_ways("9.00", "8.00")) as high, Buyer(both_ways("7.00", "6.00")) as low:
        document = market({"high": high, "low": low}, **campaign)
        document["orders"]["old"] = {"buyer": "low", "campaign": "auto-us", "filter": {"or": [{"age": {"min": 60}}]}}
        await shared_world.apply(document)
        offered = await shared_world.ping()
        await shared_world.post(offered["ping_id"])
    operator = await operator_of(shared_world)
    found = await operator.get(f"/pings/{offered['ping_id']}/explanation?replay=true")
    explained = await Past(shared_world.database).explain(UUID(offered["ping_id"]), again=True)
    assert isinstance(explained, Explanation)
    assert found == told(explained)
    if "sale" in campaign:
        assert (len(found["legs"]), found["sums"]) == (2, {"exclusive": "9.00", "shared": "14.00"})
        assert [item["leg"] for item in found["post"]["attempts"]] == [1, 2]
    else:
        assert [item["method"] for item in found["methods"]] == ["round_robin", "highest_bid"]


async def test_a_market_is_read_changed_and_sent_back(shared_world: World) -> None:
    operator = await operator_of(shared_world)
    document = market({"high": NOBODY})
    document["buyers"]["high"]["endpoint"]["auth"] = {"bearer": "hush-hush"}
    base = await shared_world.apply(document)
    read = await operator.send("GET", "/market")
    assert (read.status_code, read.headers["etag"]) == (200, f'"{base}"')
    shown = read.json()
    assert shown["buyers"]["high"]["endpoint"]["auth"] == {"bearer": "***"}

    shown["campaigns"]["auto-us"]["floor"] = 6.5
    planned = await operator.send("PUT", "/market?dry_run=true", shown)
    change = {"kind": "changed", "path": "campaigns.auto-us.floor", "before": "5.00", "after": "6.50"}
    assert planned.json() | {"warnings": []} == {
        "version": base, "base": base, "applied": False, "changes": [change], "changes_left_out": 0,
        "warnings": [], "warnings_left_out": 0,
    }  # fmt: skip
    made = await operator.send("PUT", "/market?note=more", shown, **{"If-Match": read.headers["etag"]})
    assert (made.json()["version"], made.json()["applied"], made.headers["etag"]) == (base + 1, True, f'"{base + 1}"')
    late = await operator.send("PUT", "/market", shown, **{"If-Match": read.headers["etag"]})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    same = await operator.send("PUT", "/market", shown, **{"If-Match": "*"})
    assert (same.json()["version"], same.json()["applied"], same.json()["changes"]) == (base + 1, False, [])

    [kept] = await shared_world.rows("select document from market_versions where version = $1", base + 1)
    stored = json.loads(kept["document"])
    assert stored["buyers"]["high"]["endpoint"]["auth"] == {"bearer": "hush-hush"}
    assert stored["campaigns"]["auto-us"]["floor"] == "6.5"
    listed = (await operator.get("/market/versions?limit=2"))["versions"]
    assert [(item["version"], item["made_by"], item["note"], item["changed"]) for item in listed] == [
        (base + 1, operator.key_id, "more", 1), (base, "", "test", None),
    ]  # fmt: skip
    whole = await operator.get(f"/market/versions/{base}")
    assert (whole["market"]["campaigns"]["auto-us"]["floor"], "hush" in json.dumps(whole)) == ("5.00", False)
    assert [
        item["version"] for item in (await operator.get(f"/market/versions?before={base}&limit=1"))["versions"]
    ] == [base - 1]
    for unknown in ("999999", "x", "99999999999999999999"):
        answer = await operator.send("GET", f"/market/versions/{unknown}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_version")


async def test_one_entry_is_put_and_removed_and_gone_back_on(shared_world: World) -> None:
    operator = await operator_of(shared_world)
    async with Buyer(bids("21.00")) as high:
        base = await shared_world.apply(market({"high": high}))
        put = await operator.send("PUT", "/market/orders/more?note=two", {"buyer": "high", "campaign": "auto-us"})
        assert [(item["kind"], item["path"]) for item in put.json()["changes"]] == [("added", "orders.more")]
        assert put.json()["warnings"][0]["path"] == "orders.more"
        off = {"buyer": "high", "campaign": "auto-us", "paused": True}
        assert (await operator.send("PUT", "/market/orders/high", off)).json()["version"] == base + 2
        await shared_world.in_force(base + 2)
        reasons = await shared_world.reasons((await shared_world.ping())["ping_id"])
        assert reasons == {"high": 206, "more": 2}

        needed = await operator.send("DELETE", "/market/buyers/high")
        assert (needed.status_code, needed.json()["code"]) == (422, "invalid_market")
        assert {item["field"] for item in needed.json()["errors"]} == {"orders.high.buyer", "orders.more.buyer"}
        gone = await operator.send("DELETE", "/market/orders/more", **{"If-Match": f'"{base + 2}"'})
        assert (gone.json()["version"], gone.json()["changes"][0]["kind"]) == (base + 3, "removed")
        assert (await operator.send("DELETE", "/market/orders/more")).status_code == 404

        planned = await operator.send("POST", "/market/rollback?dry_run=true", {"to": base})
        assert (planned.json()["applied"], planned.json()["changes"][0]["path"]) == (False, "orders.high.paused")
        back = await operator.send("POST", "/market/rollback", {"to": base, "note": "sorry"})
        assert back.json()["version"] == base + 4
        await shared_world.in_force(base + 4)
        assert await shared_world.reasons((await shared_world.ping())["ping_id"]) == {"high": 2}
    latest = (await operator.get("/market/versions?limit=1"))["versions"][0]
    assert (latest["note"], latest["made_by"]) == ("sorry", operator.key_id)
    assert (await operator.send("POST", "/market/rollback", {"to": 999_999})).json()["code"] == "unknown_version"


@pytest.mark.parametrize("body", [{}, {"to": "1"}, {"to": 0}, {"to": 1, "why": "x"}, {"to": 1, "note": "x" * 501}])
async def test_a_rollback_to_nowhere_is_refused(shared_world: World, body: Document) -> None:
    operator = await operator_of(shared_world)
    answer = await operator.send("POST", "/market/rollback", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_what_is_wrong_with_a_market_is_listed_with_its_paths(shared_world: World) -> None:
    operator = await operator_of(shared_world)
    await shared_world.apply(market({"high": NOBODY}))
    wrong = market({"high": NOBODY}, floor="five")
    wrong["orders"]["high"]["buyer"] = "hihg"
    answer = await operator.send("PUT", "/market", wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_market")
    assert {item["field"] for item in answer.json()["errors"]} == {"campaigns.auto-us.floor", "orders.high.buyer"}
    strange = await operator.send("PUT", "/market/orders/Not-A-Key", {"buyer": "high", "campaign": "auto-us"})
    assert strange.json()["errors"][0]["field"] == "orders.Not-A-Key"
    covered = market({"high": NOBODY})["buyers"]["high"]
    covered["endpoint"]["auth"] = {"bearer": "***"}
    refused = await operator.send("PUT", "/market/buyers/high", covered)
    assert refused.json()["errors"][0]["field"] == "buyers.high.endpoint.auth.bearer"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b'{"a": NaN}', 400, "malformed_json"),
        (b"\xff", 400, "malformed_json"),
        (b"[" * 100_000, 400, "malformed_json"),
        (b"[]", 422, "invalid_market"),
        (b'{"buyer": "high", "buyer": "low"}', 422, "invalid_market"),
        (b'{"buyer": "\\u0000"}', 422, "invalid_market"),
        (b'{"buyer": "\\ud800"}', 422, "invalid_market"),
        (b'{"filter": ' + b"[" * 40 + b"]" * 40 + b"}", 422, "invalid_market"),
        (b" " * (16 * 1024 * 1024 + 1), 413, "too_large"),
    ],
)
async def test_bodies_that_are_no_market(shared_world: World, body: bytes, status: int, code: str) -> None:
    operator = await operator_of(shared_world)
    answer = await operator.send("PUT", "/market/orders/high", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/market", "text/yaml"),
        ("/market", "application/yaml; charset=latin-1"),
        ("/market/orders/high", "application/yaml"),
    ],
)
async def test_another_media_type_is_refused(shared_world: World, path: str, media_type: str) -> None:
    operator = await operator_of(shared_world)
    answer = await operator.send("PUT", path, b"version: 1", **{"Content-Type": media_type})
    assert answer.status_code == 415


@pytest.mark.parametrize("media_type", ["application/yaml", "Application/YAML; charset=utf-8"])
async def test_a_market_file_is_sent_and_read_as_it_is(shared_world: World, media_type: str) -> None:
    operator = await operator_of(shared_world)
    document = market({"high": NOBODY})
    document["buyers"]["high"]["endpoint"]["auth"] = {"bearer": "hush-hush"}
    base = await shared_world.apply(document)
    read = await operator.send("GET", "/market", Accept="application/yaml")
    assert (read.headers["content-type"], read.headers["vary"], read.headers["etag"]) == (
        "application/yaml", "Accept", f'"{base}"',
    )  # fmt: skip
    assert "hush" not in read.text
    text = "# a comment\n" + read.text.replace("floor: '5.00'", "floor: 6.50")
    made = await operator.send("PUT", "/market", text.encode(), **{"Content-Type": media_type})
    assert made.json()["version"] == base + 1
    assert [item["path"] for item in made.json()["changes"]] == ["campaigns.auto-us.floor"]
    [kept] = await shared_world.rows("select document from market_versions where version = $1", base + 1)
    document["campaigns"]["auto-us"]["floor"] = "6.50"
    assert json.loads(kept["document"]) == document


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        ("application/yaml, application/json", "application/json"),
        ("application/yaml, */*;q=0.5", "application/yaml"),
        ("application/*;q=0.9, application/json; q=0.1", "application/yaml"),
        ("application/yaml;q=0.2, application/json;q=0.3", "application/json"),
        ("application/yaml;q=much", "application/json"),
        ("APPLICATION/YAML", "application/yaml"),
    ],
)
async def test_a_market_is_read_as_its_reader_would_have_it(shared_world: World, accept: str, media_type: str) -> None:
    operator = await operator_of(shared_world)
    await shared_world.apply(market({"high": NOBODY}))
    answer = await operator.send("GET", "/market", Accept=accept)
    assert answer.headers["content-type"] == media_type


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"version: 1\n  currency: USD", "line 2, column 11"),
        (b"version: 1\nversion: 1", "version"),
        (b"\xff", "file"),
        (b"", "file"),
        (b"- 1", "file"),
        (b"{" * 40, "line 1"),
        (b"version: 2", "version"),
    ],
)
async def test_what_is_wrong_in_a_market_file_is_listed(shared_world: World, body: bytes, field: str) -> None:
    operator = await operator_of(shared_world)
    answer = await operator.send("PUT", "/market", body, **{"Content-Type": "application/yaml"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_market")
    assert field in [item["field"] for item in answer.json()["errors"]], answer.text


async def test_changes_at_the_same_time_all_hold(shared_world: World) -> None:
    operator = await operator_of(shared_world)
    base = await shared_world.apply(market({"high": NOBODY}))
    entry = {"buyer": "high", "campaign": "auto-us"}
    answers = await asyncio.gather(
        *(operator.send("PUT", f"/market/orders/o{number}", entry | {"priority": number}) for number in range(6)),
        shared_world.rows("select 1"),
    )
    assert sorted(item.json()["version"] for item in answers[:6] if isinstance(item, httpx.Response)) == [
        base + number for number in range(1, 7)
    ]
    assert len((await operator.get("/market"))["orders"]) == 7
