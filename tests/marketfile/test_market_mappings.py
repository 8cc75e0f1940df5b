"""Mappings in a market file: what is wrong is told in words, presets are laid under, secrets covered, changes shown."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from market_example import changed, problems_of

from exchange.marketfile.difference import compare
from exchange.marketfile.masking import is_masked, mask, unmask
from exchange.marketfile.presets import MAPPED, PRESETS, preset
from exchange.marketfile.reader import read
from exchange.marketfile.secrets import references
from exchange.marketfile.source import parse
from exchange.values.mapping import Fact, Format, Origin
from exchange.values.market import Endpoint

ENDPOINT = "buyers/northwind/endpoint"
PATH = "buyers.northwind.endpoint"
REPLY = {"format": "json", "success": {"at": "ok", "is": True}}
MAPPING: dict[str, Any] = {
    "ping": {"body": "json", "fields": {"zip": "zip"}, "reply": REPLY | {"price": "price"}},
    "post": {"body": "json", "fields": {"zip": "zip"}, "reply": REPLY},
}
STATUS: dict[str, Any] = {"method": "GET", "body": "query", "fields": {"id": {"value": "attempt_id"}}, "reply": REPLY}
OAUTH2 = {"token_url": "https://b.example/token", "client_id": "lx", "secret": "hush"}
URLS = {"ping_url": "https://b.example/ping", "post_url": "https://b.example/post"}


def document(mapping: Any = MAPPING, **more: Any) -> dict[str, Any]:
    return changed(ENDPOINT, {"dialect": "mapped", **URLS, "mapping": mapping} | more)


def endpoint(found: dict[str, Any]) -> Endpoint:
    return read(found).buyers["northwind"].endpoints["default"]


def with_value(path: str, value: Any) -> dict[str, Any]:
    """The mapping with one value replaced, or added."""
    found: dict[str, Any] = copy.deepcopy(MAPPING)
    node = found
    *above, last = path.split("/")
    for part in above:
        node = node.setdefault(part, {})
    node[last] = value
    return found


WRONG: list[tuple[str, Any, str]] = [
    ("ping/body", "yaml", "ping.body: must be one of json, form, query, xml, soap11, soap12, not 'yaml'"),
    ("ping/method", "DELETE", "ping.method: must be one of POST, PUT, GET, not 'DELETE'"),
    ("ping/method", "GET", "ping: method GET goes with body query only"),
    (
        "ping/body",
        "xml",
        "ping: root is the name of the first element: it goes with body xml, soap11 and soap12, and must",
    ),
    ("ping/action", "x", "ping: action goes with body soap11 and soap12 only"),
    ("ping/method", "put", "ping.method: must be one of POST, PUT, GET, not 'put'; did you mean PUT?"),
    ("ping/charset", "utf-16", "ping.charset: must be one of utf-8, iso-8859-1, windows-1252, us-ascii, not 'utf-16'"),
    ("ping/charset", "us-ascii", "ping: charset of JSON is utf-8"),
    (
        "ping/fields/x",
        {"field": "zip", "const": "1"},
        "ping.fields.x: must say one of field, value, const, secret and list",
    ),
    ("ping/fields/x", {}, "ping.fields.x: must say one of field, value, const, secret and list"),
    ("ping/fields/x", {"list": []}, "ping.fields.x: list must have 1 to 500 entries"),
    ("ping/fields/x", {"list": [{"secret": "x"}]}, "ping.fields.x.list[0].secret: unknown key"),
    (
        "ping/fields/x",
        {"const": "${env:K}"},
        "ping.fields.x.const: is no secret: ${env:NAME} is read under `secret` only",
    ),
    ("ping/fields/x", {"secret": "${K}"}, "ping.fields.x.secret: a secret from the environment is written ${env:NAME}"),
    ("ping/fields/x", {"field": "zip", "date": "%m/%d"}, "ping.fields.x.date: must be made of YYYY, YY, MM, M, DD, D"),
    ("ping/fields/x", {"field": "zip", "boolean": ["Y"]}, "ping.fields.x.boolean: must be two words"),
    ("ping/fields/x", {"field": "zip", "values": []}, "ping.fields.x.values: must be a mapping"),
    ("ping/fields/x", {"const": "1", "when": {"is": ["a"]}}, "ping.fields.x.when: must say either field or value"),
    ("ping/fields/x", {"value": "age"}, "ping.fields.x.value: must be one of ping_id, attempt_id"),
    ("ping/fields/x", {"value": "price"}, "there is no price at a ping"),
    ("ping/fields/x", {"const": 1, "when": {"value": "bid_id"}}, "there is no bid_id at a ping"),
    ("post/fields/x", {"value": "floor"}, "there is no floor at a post"),
    ("ping/fields/zip.code", "zip", "ping: fields: 'zip.code' stands where another part stands already"),
    ("ping/fields/a..b", "zip", "ping: fields: 'a..b' is no path such as"),
    ("ping/fields/[0]", "zip", "ping: fields: '[0]' must begin with a name"),
    ("ping/headers", {"Host": {"const": "x"}}, "ping: 'Host' is written by the exchange itself"),
    ("ping/headers", {"Exchange-Order": {"const": "x"}}, "ping: 'Exchange-Order' is written by the exchange itself"),
    ("ping/headers", {"X Y": {"const": "x"}}, "ping: 'X Y' is no name of a header"),
    ("ping/headers", {"X": {"const": "a\r\nB: c"}}, "ping: 'X' must be printable ASCII"),
    ("ping/reply/format", "csv", "ping.reply.format: must be one of json, xml, text, not 'csv'"),
    ("ping/reply/confirmed", "price", "ping.reply: confirmed is not read at a ping"),
    ("post/reply/less", "rejected", "post.reply: less goes with confirmed only"),
    ("post/reply/confirmed", "a[", "post.reply: confirmed: 'a[' is no path"),
    ("post/reply", REPLY | {"confirmed": "price", "less": "pay"}, "post.reply.less: must be one of unknown, rejected"),
    ("ping/reply/success", [], "ping.reply: success has no condition: nothing would ever be a yes"),
    ("ping/reply/success", {"at": "ok"}, "ping.reply.success[0]: must say what stands there"),
    ("ping/reply/success", {"is": "yes"}, "ping.reply.success[0]: at is missing"),
    ("ping/reply/success", {"status": 700}, "ping.reply.success[0].status: must be statuses such as 201 or 4xx"),
    ("ping/reply/success", {"matches": "("}, "ping.reply.success[0].matches: is no pattern"),
    (
        "ping/reply/success",
        {"at": "a[", "is": 1},
        "ping.reply: success: 'a[' is no path such as response.bids[0].price",
    ),
    ("ping/reply/price", {"at": ".".join("a" * 17)}, "has more than 16 steps"),
    ("ping/reply/price", {"money": "euro"}, "ping.reply.price.money: must be one of plain, dollars, comma, cents"),
    ("ping/reply/reference", "id", "ping.reply: reference is not read at a ping"),
    ("ping/reply/not_found", {"status": 404}, "ping.reply: not_found is not read at a ping"),
    ("post/reply/price", "price", "post.reply: price is not read at a post"),
    ("post/reply/bids", {"at": "bids", "price": "price"}, "post.reply: bids is not read at a post"),
    ("post/reply/not_found", {"status": 404}, "post.reply: not_found is not read at a post"),
    ("ping/reply/bids", {"at": "bids"}, "ping.reply.bids.price: is missing"),
    ("ping/reply/bids", {"at": "bids[", "price": "p"}, "ping.reply: bids.at: 'bids[' is no path such as response"),
    ("ping/reply/bids", {"at": "bids", "price": "p["}, "ping.reply: bids.price: 'p[' is no path such as response"),
    (
        "ping/reply/bids",
        {"at": "bids", "price": {"matches": "([0-9]+)"}},
        "ping.reply.bids: price: must say at: a bid of a list has no text of its own",
    ),
    ("ping/reply/sale", {"at": "kind", "shared": ["Exclusive"]}, "ping.reply.sale: has the same word twice"),
    (
        "status",
        STATUS | {"fields": {"zip": "zip"}},
        "status: 'zip' is of the lead, which is not sent again to ask what became of it",
    ),
    ("status", STATUS | {"fields": {"f": {"value": "floor"}}}, "status: there is no floor at a status"),
    (
        "status",
        STATUS | {"reply": REPLY | {"duplicate": {"at": "x", "is": "d"}}},
        "status.reply: duplicate is not read at a status",
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_what_is_wrong_is_told(path: str, value: Any, message: str) -> None:
    [problem] = problems_of(document(with_value(path, value)))
    assert problem.startswith(f"{PATH}.mapping")
    assert message in problem


def test_a_status_query_needs_somewhere_to_go() -> None:
    mapping = with_value("status", STATUS)
    [problem] = problems_of(document(mapping))
    assert "mapping.status goes with a status_url only" in problem
    assert problems_of(document(mapping, status_url="https://b.example/status")) == []


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (document(None), "mapping: is empty"),
        (changed(ENDPOINT, {"dialect": "mapped", **URLS}), "mapping is missing: dialect mapped has fields"),
        (document(dialect="native"), "mapping goes with another dialect than native"),
        (document({"post": MAPPING["post"]}), "ping_url and mapping.ping go together"),
        (document(with_value("ping/reply", REPLY)), "ping.reply.price is missing: a yes without a price is none"),
        (document(dialect="leadexex"), "must be one of native, mapped, plain, leadexec"),
    ],
)
def test_what_an_endpoint_needs_is_told(found: dict[str, Any], message: str) -> None:
    assert message in " ".join(problems_of(found))


@pytest.mark.parametrize("at", ["//Price", "/a/b[2]/c", "/a/@id", "//b/text()", "/s:Envelope/s:Body//x"])
def test_paths_into_xml(at: str) -> None:
    assert (
        problems_of(document(with_value("ping/reply", {"format": "xml", "success": {"at": at, "is": 1}, "price": at})))
        == []
    )


@pytest.mark.parametrize("at", ["Price", "//", "/a[0]", "/a/@id/b", "text()", "//a[b='c']", "/a/..", "/*", "a.b"])
def test_what_is_more_than_a_small_part_of_xpath_is_refused(at: str) -> None:
    reply = {"format": "xml", "success": {"at": at, "is": 1}, "price": "/a"}
    [problem] = problems_of(document(with_value("ping/reply", reply)))
    assert "is no path such as /Response/Price" in problem


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_whole_with_the_buyers_own_fields(name: str) -> None:
    own = {"fields": {"Zip": "zip"}}
    found = endpoint(document({"ping": own, "post": own}, dialect=name)).mapping
    assert found is not None
    assert found.ping is not None
    assert found.ping.fields[-1].place == "Zip"
    assert found.ping.reply.success
    assert found.ping.reply.price is not None
    assert found.ping.reply.bid_id is not None
    assert found.post.names(Fact.BID_ID)
    assert found.post.reply.reject
    assert found.ping.reply.format is not Format.TEXT
    assert found.marks_tests == any("test" in str(preset(name)[message]["fields"]) for message in ["post"])


def test_a_mapping_lies_over_its_preset_key_by_key() -> None:
    own = {
        "fields": {"Zip": "zip", "Mode": {"const": "PING"}},
        "reply": {"price": {"at": "//cost", "money": "dollars"}},
    }
    found = endpoint(document({"ping": own, "post": {}}, dialect="boberdoo")).mapping
    assert found is not None
    assert found.ping is not None
    assert [(part.place, part.source.name) for part in found.ping.fields][:2] == [("Mode", "PING"), ("Format", "XML")]
    assert found.ping.reply.price is not None
    assert found.ping.reply.price.at == "//cost"
    assert found.ping.reply.success[0].at == "/response/status"


def test_a_preset_without_pings_is_for_fixed_prices() -> None:
    found = document({"post": {"fields": {"Zip": "zip"}}}, dialect="boberdoo", ping_url=None)
    found["orders"]["northwind-il"]["price"] = "12.00"
    mapping = endpoint(found).mapping
    assert mapping is not None
    assert mapping.ping is None


SECRETS = with_value("ping/fields", {"a": {"secret": "${env:ONE}"}, "b": {"secret": "hush"}, "secret": "zip"})


def test_secrets_of_a_mapping_are_found_covered_and_found_again() -> None:
    whole = document(SECRETS)
    assert ("buyers.northwind.endpoint.mapping", "ONE") in references(read(whole))
    covered = mask(whole)["buyers"]["northwind"]["endpoint"]["mapping"]["ping"]["fields"]
    assert covered == {"a": {"secret": "${env:ONE}"}, "b": {"secret": "***"}, "secret": "***"}
    assert is_masked(mask(whole))
    assert unmask(mask(whole), whole) == whole


def test_a_change_of_a_mapping_is_shown_where_it_is_and_no_secret_with_it() -> None:
    after = copy.deepcopy(SECRETS)
    after["ping"]["fields"]["b"] = {"secret": "hush hush"}
    after["ping"]["reply"]["success"] = [{"at": "ok", "is": "yes", "and": {"status": 201}}]
    changes = [str(change) for change in compare(read(document(SECRETS)), read(document(after)))]
    path = "~ buyers.northwind.endpoint.mapping.ping"
    assert changes == [
        f"{path}.fields.b.secret: *** -> ***",
        f"{path}.reply.success: [{{at: ok, is: [true]}}] -> [{{at: ok, is: [yes], and: [{{status: [201]}}]}}]",
    ]


def test_what_stands_in_a_mapping_is_what_is_meant() -> None:
    whole = document(
        with_value("ping/fields", {"x": {"list": ["zip", {"const": 7}], "join": "-"}, "y": {"const": True}})
    )
    mapping = endpoint(whole).mapping
    assert mapping is not None
    assert mapping.ping is not None
    first, second = mapping.ping.fields
    assert [(item.origin, item.name) for item in first.source.items] == [(Origin.FIELD, "zip"), (Origin.CONST, "7")]
    assert (second.source.origin, second.source.name) == (Origin.CONST, "true")


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ({"query": {"name": "a b", "value": "x"}}, "auth.query.name: must be a name of letters"),
        ({"query": {"name": "a", "value": "x\n"}}, "auth.query.value: holds a control character"),
        ({"hmac": {"secret": "x"}}, "auth.hmac.header: is missing"),
        ({"hmac": {"header": "X", "secret": "x", "over": ["body", "body"]}}, "over must be some of method, path"),
        ({"hmac": {"header": "X", "secret": "x", "over": ["host"]}}, "over must be some of method, path"),
        ({"hmac": {"header": "X", "secret": "x", "over": ["timestamp"]}}, "timestamp_header is missing"),
        ({"oauth2": {"token_url": "https://b.example/t", "secret": "x"}}, "auth.oauth2.client_id: is missing"),
        ({"oauth2": OAUTH2 | {"token_url": "ftp://b.example"}}, "must start with http:// or https://"),
        ({"oauth2": OAUTH2 | {"client_auth": "query"}}, "client_auth"),
        ({"oauth2": OAUTH2 | {"parameters": {"scope": "x"}}}, "parameters: scope has a key of its own"),
        ({"hmac": {"header": "X", "secret": "x"}, "bearer": "y"}, "must be none or say one of"),
    ],
)
def test_auth_that_cannot_be(auth: Any, message: str) -> None:
    [problem] = problems_of(changed(f"{ENDPOINT}/auth", auth))
    assert message in problem


@pytest.mark.parametrize(
    "auth",
    [
        {"query": {"name": "key", "value": "hush"}},
        {"oauth2": OAUTH2},
        {"oauth2": OAUTH2 | {"scope": "a b", "parameters": {"audience": "https://b.example/"}, "client_auth": "body"}},
        {"hmac": {"header": "X-S", "secret": "hush", "over": ["timestamp", "body"], "timestamp_header": "X-T"}},
    ],
)
def test_secrets_of_auth_are_covered_and_nothing_else(auth: Any) -> None:
    whole = changed(f"{ENDPOINT}/auth", auth)
    covered = mask(whole)["buyers"]["northwind"]["endpoint"]["auth"]
    assert str(covered) == str(auth).replace("hush", "***")
    [change] = [str(item) for item in compare(read(changed(f"{ENDPOINT}/auth", "none")), read(whole))]
    assert "hush" not in change
    assert "***" in change


PAGE = (Path(__file__).parents[2] / "docs/integrate/buyers.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(dialect:.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_for_buyers_can_be_applied(text: str) -> None:
    asked = {"status_url": "https://b.example/status"} if "status" in parse(text).get("mapping", {}) else {}
    assert problems_of(changed(ENDPOINT, URLS | asked | parse(text))) == []


def test_every_dialect_has_an_example_for_buyers() -> None:
    assert {parse(text)["dialect"] for text in EXAMPLES} == {"native", MAPPED, *PRESETS}
