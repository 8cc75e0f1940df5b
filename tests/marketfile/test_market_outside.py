"""What the world outside must understand: addresses, headers, secrets and time zones."""

from typing import Any

import pytest
from market_example import changed, problems_of

from exchange.marketfile.reader import read

ENDPOINT = "buyers/northwind/endpoint"
PATH = "buyers.northwind.endpoint"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9101/bid",
        "https://buyer.example",
        "https://buyer.example:8443/a/b%20c?key=1&x=%2F",
        "https://[2001:db8::1]/ping",
        "https://[::1]:9000/",
        "http://localhost/",
        "http://my_host.example./x",
        "HTTPS://Buyer.Example/ping",
        "https://xn--bcher-kva.example/ping",
    ],
)
def test_an_address_is_kept_as_written(url: str) -> None:
    assert read(changed(f"{ENDPOINT}/ping_url", url)).buyers["northwind"].endpoints["default"].ping_url == url


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("ftp://buyer.example/", "must start with http:// or https://"),
        ("//buyer.example/", "must start with http:// or https://"),
        ("buyer.example/ping", "must start with http:// or https://"),
        ("", "must start with http:// or https://"),
        ("http://", "has no valid host and port"),
        ("http:///ping", "has no valid host and port"),
        ("http://:80/", "has no valid host and port"),
        ("http://host:0/", "has no valid host and port"),
        ("http://host:65536/", "has no valid host and port"),
        ("http://host:8a/", "has no valid host and port"),
        ("http://host:/", "has no valid host and port"),
        ("http://a..b/", "has no valid host and port"),
        ("http://" + "a" * 64 + "/", "has no valid host and port"),
        ("http://" + "a." * 130 + "b/", "has no valid host and port"),
        ("http://[::1/", "has no valid host and port"),
        ("http://[::1]x/", "has no valid host and port"),
        ("http://[1.2.3.4]/", "has no valid host and port"),
        ("http://[fe80::1%25eth0]/", "has no valid host and port"),
        ("http://ho%73t/", "has no valid host and port"),
        ("http://user@host/", "must not hold a user or password: use auth"),
        ("http://user:secret@host/", "must not hold a user or password: use auth"),
        ("http://good.example\\@evil.example/", "holds a blank or another character that must be written as %XX"),
        ("http://host/a b", "holds a blank or another character that must be written as %XX"),
        ("http://host/\r\nX: y", "holds a blank or another character that must be written as %XX"),
        ("http://host/\x00", "holds a blank or another character that must be written as %XX"),
        ("http://host/%zz", "holds a blank or another character that must be written as %XX"),
        ("http://hö.example/", "holds a blank or another character that must be written as %XX"),
        ("http://①②⑦.⓪.⓪.①/", "holds a blank or another character that must be written as %XX"),
        ("http://host/${env:KEY}", "holds a blank or another character that must be written as %XX"),
        ("http://host/#top", "must not have a fragment (#)"),
        ("http://host/#", "must not have a fragment (#)"),
        ("http://host/" + "a" * 2048, "is longer than 2,048 characters"),
        (5, "must be an address such as https://buyer.example/ping, not a number"),
    ],
)
def test_an_address_that_could_mislead_is_refused(url: Any, problem: str) -> None:
    for key in ["ping_url", "post_url"]:
        assert problems_of(changed(f"{ENDPOINT}/{key}", url)) == [f"{PATH}.{key}: {problem}"]


def test_an_address_to_deliver_to_is_not_empty() -> None:
    problem = "is empty: give it a value, or leave the key out"
    assert problems_of(changed(f"{ENDPOINT}/post_url", None)) == [f"{PATH}.post_url: {problem}"]


@pytest.mark.parametrize(
    ("auth", "problem"),
    [
        ({}, "auth: must be none or say one of bearer, basic, header, query, hmac and oauth2"),
        ({"bearer": "a", "header": {"name": "X-Key", "value": "b"}},
         "auth: must be none or say one of bearer, basic, header, query, hmac and oauth2"),
        ("Bearer s3cret", 'auth: must be none or a mapping such as {bearer: "${env:NAME}"}, not text'),
        (["bearer"], 'auth: must be none or a mapping such as {bearer: "${env:NAME}"}, not a list'),
        ({"bearr": "s3cret"}, "auth.bearr: unknown key; did you mean bearer?"),
        ({"bearer": ""}, "auth.bearer: is empty"),
        ({"bearer": None}, "auth.bearer: is empty: give it a value, or leave the key out"),
        ({"bearer": "s3cret s3cret"}, "auth.bearer: holds a blank or a character that is not ASCII"),
        ({"bearer": "s3cret\r\nX: y"}, "auth.bearer: holds a blank or a character that is not ASCII"),
        ({"bearer": "s3crét"}, "auth.bearer: holds a blank or a character that is not ASCII"),
        ({"bearer": ["s3cret"]}, "auth.bearer: must be text, not a list"),
        ({"bearer": "s" * 4097}, "auth.bearer: is longer than 4,096 characters"),
        ({"bearer": "${NORTHWIND}"}, "auth.bearer: a secret from the environment is written ${env:NAME}"),
        ({"bearer": "${env:A B}"}, "auth.bearer: a secret from the environment is written ${env:NAME}"),
        ({"bearer": "${env:}"}, "auth.bearer: a secret from the environment is written ${env:NAME}"),
        ({"bearer": "${env:TOKEN"}, "auth.bearer: a secret from the environment is written ${env:NAME}"),
        ({"bearer": "${env:1X}"}, "auth.bearer: a secret from the environment is written ${env:NAME}"),
        ({"basic": {"user": "me"}}, "auth.basic.password: is missing"),
        ({"basic": "me:s3cret"}, "auth.basic: must be a mapping (key: value), not text"),
        ({"basic": {"user": "a:b", "password": "s3cret"}},
         "auth.basic.user: must not hold ':' or a control character"),
        ({"basic": {"user": "${env:USER}", "password": "s3cret"}},
         "auth.basic.user: is no secret: ${env:NAME} is read in the password only"),
        ({"basic": {"user": "me", "password": "s3cret\n"}}, "auth.basic.password: holds a control character"),
        ({"header": {"name": "X-Key", "value": " s3cret"}}, "auth.header.value: has blanks at its ends"),
        ({"header": {"name": "X-Key", "value": "s3\ncret"}},
         "auth.header.value: holds a control character or one that is not ASCII"),
        ({"header": {"name": "X Key", "value": "s3cret"}},
         "auth.header.name: must be the name of a header: letters, digits and '-', up to 64"),
        ({"header": {"name": "X:", "value": "s3cret"}},
         "auth.header.name: must be the name of a header: letters, digits and '-', up to 64"),
        ({"header": {"name": "", "value": "s3cret"}}, "auth.header.name: is empty"),
        ({"header": {"name": "Authorization", "value": "s3cret"}},
         "auth.header.name: is written by the exchange: use bearer or basic"),
    ],
)  # fmt: skip
def test_auth_that_cannot_be_is_refused_without_repeating_the_secret(auth: Any, problem: str) -> None:
    (found,) = problems_of(changed(f"{ENDPOINT}/auth", auth))
    assert found == f"{PATH}.{problem}"
    assert "s3cr" not in found


@pytest.mark.parametrize(
    "name",
    ["Host", "content-length", "Content-Type", "Exchange-Order", "Idempotency-Key", "Connection", "Transfer-Encoding",
     "Proxy-Authorization", "Accept-Encoding"],
)  # fmt: skip
def test_headers_of_our_own_cannot_be_taken(name: str) -> None:
    assert problems_of(changed(f"{ENDPOINT}/auth", {"header": {"name": name, "value": "x"}})) == [
        f"{PATH}.auth.header.name: is written by the exchange itself: choose another header"
    ]


@pytest.mark.parametrize(
    ("zone", "problem"),
    [
        ("America/Gotham", "there is no time zone 'America/Gotham': write it as America/New_York"),
        (
            "america/new york",
            "there is no time zone 'america/new york': write it as America/New_York; did you mean America/New_York?",
        ),
        ("America", "there is no time zone 'America': write it as America/New_York"),
        ("../etc/passwd", "there is no time zone '../etc/passwd': write it as America/New_York"),
        ("", "is empty"),
        (None, "is empty: must be text"),
        ([], "must be text, not a list"),
    ],
)
def test_a_time_zone_must_exist(zone: Any, problem: str) -> None:
    assert problems_of(changed("buyers/northwind/time_zone", zone)) == [f"buyers.northwind.time_zone: {problem}"]
    assert problems_of(changed("campaigns/auto-us/time_zone", zone)) == [f"campaigns.auto-us.time_zone: {problem}"]
