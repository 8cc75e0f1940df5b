"""The page at /docs: whole with what the gateway itself serves, and held to that by what its browser is told."""

import base64
import hashlib
import re

import pytest
from support.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

NEEDED = {"docs/files/swagger-ui.css": "text/css", "docs/files/swagger-ui-bundle.js": "text/javascript"}


async def test_the_page_names_no_other_host_and_has_all_that_it_names(shared_world: World) -> None:
    answer = await shared_world.client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "//" not in answer.text
    named = set(re.findall(r'(?:src|href)="([^"]*)"', answer.text)) - {"data:,"}
    assert named == NEEDED.keys()
    for path, media_type in NEEDED.items():
        found = await shared_world.client.get(f"/{path}")
        assert (found.status_code, found.headers["content-type"].partition(";")[0]) == (200, media_type)
        assert len(found.content) > 100_000
    [document] = re.findall(r'url:"([^"]*)"', answer.text)
    assert (await shared_world.client.get(f"/{document}")).json()["openapi"]


async def test_a_browser_is_told_to_take_nothing_from_elsewhere(shared_world: World) -> None:
    answer = await shared_world.client.get("/docs")
    rules = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    [script] = re.findall(r"<script>(.*?)</script>", answer.text)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'self' 'sha256-{allowed}'"
    assert {source for sources in rules.values() for source in sources.split()} <= {
        "'none'", "'self'", "'unsafe-inline'", "data:", f"'sha256-{allowed}'"
    }  # fmt: skip
    assert "'unsafe-inline'" not in rules["script-src"]


async def test_the_page_is_dark_where_its_reader_is_and_has_sellers_first(shared_world: World) -> None:
    page = (await shared_world.client.get("/docs")).text
    assert '<meta name="color-scheme" content="light dark">' in page
    [name] = re.findall(r'toggle\("([a-z-]+)",dark.matches\)', page)
    assert f"html.{name}{{background" in (await shared_world.client.get("/docs/files/swagger-ui.css")).text
    [first] = set(re.findall(r'[ab]==="([a-z]+)"', page))
    paths = (await shared_world.client.get("/openapi.json")).json()["paths"]
    assert first in paths["/v1/ping"]["post"]["tags"]


async def test_files_that_are_known_are_not_sent_again(shared_world: World) -> None:
    first = await shared_world.client.get("/docs/files/swagger-ui.css")
    again = await shared_world.client.get(
        "/docs/files/swagger-ui.css", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect", "/docs/files/none.js", "/docs/files/../core.py"])
async def test_other_pages_are_not_there(shared_world: World, path: str) -> None:
    answer = await shared_world.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
