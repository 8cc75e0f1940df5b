"""Endpoints that are delivered to by e-mail, file or webhook: read, refused in plain words, covered, compared."""

from typing import Any

import pytest
from market_example import changed, problems_of

from exchange.marketfile.difference import compare
from exchange.marketfile.masking import mask, unmask
from exchange.marketfile.reader import read
from exchange.marketfile.secrets import references
from exchange.values.deliveries import Files, LeadWebhook, Mail

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
MAIL: dict[str, Any] = {"to": ["desk@northwind.example"], "text": "{{lead.zip}} {{price}}"}
FTPS: dict[str, Any] = {"host": "files.example", "user": "leads", "password": "hush"}
SFTP: dict[str, Any] = FTPS | {"host_key": HOST_KEY}
HOOK: dict[str, Any] = {"url": "https://northwind.example/in", "secret": "${env:HOOK}"}
PATH = "buyers.northwind.endpoint"


def sold_by(**endpoint: Any) -> dict[str, Any]:
    """The example with northwind delivered to in another way, at a fixed price."""
    document = changed("orders/northwind-il/price", "12.00")
    document["buyers"]["northwind"]["endpoint"] = endpoint
    return document


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [({"email": MAIL}, Mail), ({"sftp": SFTP}, Files), ({"ftps": FTPS}, Files), ({"webhook": HOOK}, LeadWebhook)],
)
def test_each_way_stands_for_a_post_url(endpoint: dict[str, Any], kind: type) -> None:
    terms = {"post_timeout_ms": 9000, "unknown": {"presume": "accepted", "after_days": 2}}
    found = read(sold_by(**endpoint, **terms)).buyers["northwind"].endpoints["default"]
    assert isinstance(found.means, kind)
    assert (found.post_url, found.ping_url, found.post_timeout_ms) == (None, None, 9000)
    assert found.unknown is not None
    assert found.unknown.after_days == 2


def test_an_endpoint_with_a_url_has_no_other_way() -> None:
    assert (
        read(changed(f"{PATH.replace('.', '/')}/status_url", None)).buyers["northwind"].endpoints["default"].means
        is None
    )


@pytest.mark.parametrize(
    ("endpoint", "path", "message"),
    [
        ({}, PATH, "has no post_url, and none of webhook, email, sftp and ftps instead"),
        ({"email": MAIL, "ftps": FTPS}, PATH, "must say one of post_url, webhook, email, sftp and ftps"),
        ({"email": MAIL, "post_url": "http://h/"}, PATH, "must say one of post_url, webhook, email, sftp and ftps"),
        ({"email": MAIL, "status_url": "http://h/"}, PATH, "status_url goes with a post_url only"),
        ({"email": MAIL, "ping_url": "http://h/"}, PATH, "ping_url goes with a post_url only"),
        ({"email": MAIL, "idempotent_post": True}, PATH, "idempotent_post goes with a post_url only"),
        ({"webhook": HOOK, "signing": {"secret": "${env:S}"}}, PATH, "signing goes with a post_url only"),
        ({"webhook": HOOK, "auth": "none"}, PATH, "auth goes with a post_url only"),
        ({"email": MAIL, "dialect": "native"}, PATH, "dialect goes with a post_url only"),
        ({"ftps": FTPS | {"every_min": 5}}, PATH,
         "every_min is for what follows a sale: what decides one is put down at once"),
        ({"email": MAIL | {"to": []}}, f"{PATH}.email", "must go to 1 to 10 addresses"),
        (
            {"email": MAIL | {"text": "{{lead.zipp}}"}},
            "orders.northwind-il.endpoint",
            "the endpoint's email.text speaks of 'lead.zipp', which its leads do not have; did you mean lead.zip?",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_plain_words(endpoint: dict[str, Any], path: str, message: str) -> None:
    assert problems_of(sold_by(**endpoint)) == [f"{path}: {message}"]


def test_who_is_not_pinged_needs_a_price() -> None:
    document = sold_by(email=MAIL)
    del document["orders"]["northwind-il"]["price"]
    [problem] = problems_of(document)
    assert problem.startswith("orders.northwind-il.price: is bid, but the endpoint has no ping_url")


def test_secrets_are_covered_found_again_and_looked_up() -> None:
    whole = sold_by(sftp=SFTP)
    covered = mask(whole)
    assert covered["buyers"]["northwind"]["endpoint"]["sftp"]["password"] == "***"
    assert unmask(covered, whole) == whole
    assert (f"{PATH}.webhook.secret", "HOOK") in references(read(sold_by(webhook=HOOK)))
    assert (f"{PATH}.sftp.password", "PW") in references(read(sold_by(sftp=SFTP | {"password": "${env:PW}"})))


def test_a_way_that_changes_is_told() -> None:
    before, after = read(sold_by(sftp=SFTP)), read(sold_by(sftp=SFTP | {"port": 2222, "password": "other"}))
    assert list(map(str, compare(before, after))) == [
        "~ buyers.northwind.endpoint.sftp.port: 22 -> 2222",
        "~ buyers.northwind.endpoint.sftp.password: *** -> ***",
    ]
