"""The OpenAPI document: whole in itself, with the five doors and every status, and what the doors really answer."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from support.buyer import REJECTS, Buyer, bids, says
from support.market import CONTACT, LEAD, Document, market
from support.schemas import faults, references, resolve
from support.waiting import Held, until
from support.world import World

from exchange.values.ids import uuid7

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHOLE = LEAD | CONTACT
EVERYWHERE = {"200", "401", "403", "404", "500", "503"}
WRITING = EVERYWHERE | {"400", "413", "415", "422", "429"}
DOORS = {
    ("/v1/ping", "post"): WRITING,
    ("/v1/post", "post"): WRITING | {"409", "410"},
    ("/v1/leads", "post"): WRITING | {"409"},
    ("/v1/pings/{ping_id}", "get"): EVERYWHERE,
    ("/v1/posts/{post_id}", "get"): EVERYWHERE,
}


async def openapi(world: World) -> Document:
    answer = await world.client.get("/openapi.json")
    assert answer.status_code == 200
    found: Document = answer.json()
    return found


def operation(document: Document, method: str, path: str) -> Document:
    """The operation that serves a path of a request."""
    [found] = [
        operations[method.lower()]
        for template, operations in document["paths"].items()
        if re.fullmatch(re.sub(r"\{[a-z_]+\}", "[^/]+", template), path)
    ]
    assert isinstance(found, dict)
    return found


def assert_documented(document: Document, answer: httpx.Response) -> None:
    """The answer's status is one of its operation's, and its body what is said there."""
    described = operation(document, answer.request.method, answer.request.url.path)["responses"]
    assert str(answer.status_code) in described, answer.text
    content = described[str(answer.status_code)]["content"]
    media_type = answer.headers["content-type"]
    assert media_type in content
    said = answer.json() if media_type.endswith("json") else answer.text
    assert faults(document, content[media_type]["schema"], said) == []


async def test_the_document_is_whole_in_itself(shared_world: World) -> None:
    document = await openapi(shared_world)
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"]
    assert document["info"]["version"]
    assert set(references(document))
    for reference in references(document):
        resolve(document, reference)
    for path, operations in document["paths"].items():
        for described in operations.values():
            assert described["responses"]
            assert described["summary"]
            named = {item["name"] for item in described.get("parameters", []) if item["in"] == "path"}
            assert named == set(re.findall(r"\{([a-z_]+)\}", path))


async def test_the_five_doors_are_listed_with_every_status(shared_world: World) -> None:
    document = await openapi(shared_world)
    found = {
        (path, method): set(described["responses"])
        for path, operations in document["paths"].items()
        if path.startswith("/v1/")
        for method, described in operations.items()
    }
    assert found == DOORS
    for path, method in DOORS:
        described = document["paths"][path][method]
        assert described["security"] == [{"key": []}]
        assert ("requestBody" in described) == (method == "post")
        for status, answer in described["responses"].items():
            media_type = "application/json" if status == "200" else "application/problem+json"
            assert list(answer["content"]) == [media_type]
    assert document["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}


@pytest.mark.parametrize("path", ["/v1/post", "/v1/leads"])
async def test_the_idempotency_key_is_listed_where_it_is_taken(shared_world: World, path: str) -> None:
    document = await openapi(shared_world)
    [header] = document["paths"][path]["post"]["parameters"]
    assert (header["name"], header["in"], header["required"]) == ("Idempotency-Key", "header", False)
    assert header["schema"]["maxLength"] == 255


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/v1/ping", {"campaign": "auto-us", "lead": LEAD}),
        (
            "/v1/ping",
            {"campaign": "auto-us", "source": "s", "ref": "r", "min_price": "5.00", "timeout_ms": 700, "test": False}
            | {"identity_hashes": {"phone": "f" * 64}, "lead": LEAD},
        ),
        ("/v1/ping", {"campaign": "auto-us", "min_price": 5.25, "lead": {}}),
        ("/v1/post", {"ping_id": str(uuid7()), "lead": CONTACT}),
        (
            "/v1/leads",
            {"campaign": "auto-us", "source": "s", "ref": "r", "min_price": None, "test": True, "lead": WHOLE},
        ),
    ],
)
async def test_what_the_contract_sends_is_what_the_document_takes(
    shared_world: World, path: str, sent: dict[str, Any]
) -> None:
    document = await openapi(shared_world)
    schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert faults(document, schema, sent) == []
    assert faults(document, schema, sent | {"another": 1}) == ["$.another: is not in the schema"]


async def test_answers_to_pings_and_what_is_read_of_them_are_as_documented(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        document = await openapi(shared_world)
        offered = await shared_world.send("/v1/ping", {"campaign": "auto-us", "lead": LEAD | {"shoe_size": 44}})
        posted, expired = await shared_world.ping(), await shared_world.ping()
        await shared_world.post(posted["ping_id"])
        await shared_world.rows(
            "update pings set expires_at = now() where ping_id = $1 returning 1", expired["ping_id"]
        )
        buyer.on_ping = says({"bid": 0})
        unsold = await shared_world.send("/v1/ping", {"campaign": "auto-us", "lead": LEAD})
        await shared_world.reasons(unsold.json()["ping_id"])
    statuses = {}
    for found in (offered.json(), posted, expired, unsold.json()):
        answer = await shared_world.get(f"/v1/pings/{found['ping_id']}")
        statuses[answer.json()["status"]] = answer
    assert statuses.keys() == {"offered", "posted", "expired", "unsold"}
    for answer in (offered, unsold, *statuses.values()):
        assert_documented(document, answer)


async def test_answers_to_posts_and_what_is_read_of_them_are_as_documented(shared_world: World) -> None:
    held = Held({"status": "accepted"})
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}, post_timeout_ms=500))
        document = await openapi(shared_world)
        for on_post, status in ((says({"status": "accepted"}), "accepted"), (REJECTS, "rejected"), (held, "pending")):
            buyer.on_post = on_post
            body = {"ping_id": (await shared_world.ping())["ping_id"], "lead": CONTACT | {"age": 42}}
            answer = await shared_world.send("/v1/post", body)
            assert answer.json()["status"] == status
            assert_documented(document, answer)
            assert_documented(document, await shared_world.get(f"/v1/posts/{answer.json()['post_id']}"))
        held.release.set()

        async def look() -> httpx.Response:
            return await shared_world.get(f"/v1/posts/{answer.json()['post_id']}")

        late = await until(look, lambda found: found.json()["status"] == "accepted")
        assert_documented(document, late)
        buyer.on_post = says({"status": "accepted", "redirect_url": "https://b.example/"})
        for lead in (WHOLE, WHOLE | {"zip": "10001"}):
            assert_documented(document, await shared_world.send("/v1/leads", {"campaign": "auto-us", "lead": lead}))
        buyer.on_ping = says({"bid": None})
        unsold = await shared_world.send("/v1/leads", {"campaign": "auto-us", "lead": WHOLE})
        assert unsold.json()["post_id"] is None
        assert_documented(document, unsold)


def links(document: Document, answer: httpx.Response) -> dict[str, tuple[str, str, Document]]:
    """The next requests that an answer links to, by name: method, path, and what the body takes from it."""
    described = operation(document, answer.request.method, answer.request.url.path)
    operations = {
        found["operationId"]: (method, path)
        for path, methods in document["paths"].items()
        for method, found in methods.items()
    }
    next_ones = {}
    for name, link in described["responses"]["200"]["links"].items():
        method, path = operations[link["operationId"]]
        parameters = {key: pointed(answer, text) for key, text in link.get("parameters", {}).items()}
        assert set(parameters) == set(re.findall(r"\{([a-z_]+)\}", path))
        body = {key: pointed(answer, text) for key, text in link.get("requestBody", {}).items()}
        next_ones[name] = (method.upper(), path.format(**parameters), body)
    return next_ones


def pointed(answer: httpx.Response, text: str) -> Any:
    """What an expression of a link stands for."""
    assert text.startswith("$response.body#/")
    return answer.json()[text.removeprefix("$response.body#/")]


async def test_links_lead_from_the_ping_to_the_post_and_to_what_is_true_of_both(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        document = await openapi(shared_world)
        offered = await shared_world.send("/v1/ping", {"campaign": "auto-us", "lead": LEAD})
        found = links(document, offered)
        assert set(found) == {"post", "readPing"}
        _, path, body = found["post"]
        posted = await shared_world.send(path, body | {"lead": CONTACT})
        whole = await shared_world.send("/v1/leads", {"campaign": "auto-us", "lead": WHOLE})
    for answer in (posted, whole):
        assert answer.json()["status"] == "accepted"
        ping, post = links(document, answer)["readPing"], links(document, answer)["readPost"]
        read_ping, read_post = await shared_world.get(ping[1]), await shared_world.get(post[1])
        assert (read_ping.json()["status"], read_post.json()["status"]) == ("posted", "accepted")
        assert links(document, read_ping)["readPost"] == post
        assert links(document, read_post)["readPing"] == ping


Wrong = Callable[[World], Awaitable[httpx.Response]]
WRONG: dict[str, Wrong] = {
    "400": lambda world: world.client.post(
        "/v1/ping",
        content=b"{",
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {world.keys['acme']}"},
    ),
    "401": lambda world: world.client.post("/v1/leads", json={}),
    "403": lambda world: world.send("/v1/ping", {"campaign": "auto-us", "lead": {}}, "shut"),
    "404 campaign": lambda world: world.send("/v1/leads", {"campaign": "x", "lead": {}}),
    "404 ping": lambda world: world.get("/v1/pings/x"),
    "404 post": lambda world: world.get("/v1/posts/x"),
    "413": lambda world: world.send("/v1/post", {"lead": "x" * 70_000}),
    "415": lambda world: world.client.post(
        "/v1/post", content=b"{}", headers={"Authorization": f"Bearer {world.keys['acme']}"}
    ),
    "422 shape": lambda world: world.send("/v1/ping", {"lead": 1, "x": 2}),
    "422 lead": lambda world: world.send("/v1/leads", {"campaign": "auto-us", "lead": {"zip": "1"}}),
}


@pytest.mark.parametrize("name", WRONG)
async def test_problems_are_as_documented(shared_world: World, name: str) -> None:
    await shared_world.apply(market({}))
    answer = await WRONG[name](shared_world)
    assert str(answer.status_code) == name.partition(" ")[0]
    assert_documented(await openapi(shared_world), answer)


async def test_problems_of_storage_are_as_documented(shared_world: World) -> None:
    async with Buyer(bids("21.00")) as buyer:
        await shared_world.apply(market({"only": buyer}))
        async with shared_world.locked("pings"):
            answer = await shared_world.send("/v1/ping", {"campaign": "auto-us", "lead": LEAD, "timeout_ms": 200})
    assert answer.status_code == 503
    assert_documented(await openapi(shared_world), answer)
