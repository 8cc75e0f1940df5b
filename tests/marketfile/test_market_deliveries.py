"""Webhooks, signatures and deliveries in a market file: read, refused in plain words, covered, compared, warned of."""

import base64
import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from market_example import changed, problems_of

from exchange.marketfile import limits
from exchange.marketfile.difference import compare
from exchange.marketfile.masking import is_masked, mask, unmask
from exchange.marketfile.reader import read
from exchange.marketfile.scalars import KEY_RULE
from exchange.marketfile.secrets import references, resolve, signing_keys
from exchange.marketfile.warnings import warnings_of
from exchange.values.auth import AuthKind
from exchange.values.deliveries import (
    Call,
    FileFormat,
    Files,
    Following,
    LeadWebhook,
    Mail,
    Protocol,
    Retry,
    SellerEvent,
    Webhook,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
SUBJECT = "Lead {{attempt_id}} for {{order}}"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
HOOK: dict[str, Any] = {"url": "https://acme.example/hook", "secret": "${env:ACME_HOOK}"}
SFTP: dict[str, Any] = {
    "host": "files.northwind.example",
    "user": "leads",
    "password": "${env:PW}",
    "host_key": HOST_KEY,
}
FTPS: dict[str, Any] = {"host": "192.0.2.7", "user": "leads", "password": "${env:PW}", "format": "csv", "every_min": 60}
MAIL: dict[str, Any] = {"to": ["Desk@Northwind.example"], "html": "<p>{{lead.phone}}</p>"}
CALL: dict[str, Any] = {
    "url": "https://sms.example/v1",
    "auth": {"basic": {"user": "account", "password": "hush"}},
    "body": "form",
    "fields": {"To": {"secret": "${env:DESK_PHONE}"}, "Body": {"list": [{"const": "New:"}, "zip"], "join": " "}},
    "reply": {"format": "json", "success": {"at": "ok", "is": ["true"]}},
}
DELIVER: dict[str, Any] = {
    "crm": {"webhook": HOOK, "after_s": 5},
    "desk": {"email": MAIL},
    "drop": {"sftp": SFTP},
    "night": {"ftps": FTPS},
}
X, HOOK_PATH = "orders.northwind-il.deliver.x", "sellers.acme.webhook"
ORDER, SELLER = "orders/northwind-il/deliver", "sellers/acme/webhook"


def deliver(**changes: Any) -> Any:
    """The example with one delivery, called `x`."""
    return changed(ORDER, {"x": changes})


def test_everything_that_can_follow_is_read() -> None:
    market = read(changed(ORDER, DELIVER))
    assert market.orders["northwind-il"].deliver == (
        Following("crm", LeadWebhook("https://acme.example/hook", ("${env:ACME_HOOK}",)), 5),
        Following(
            "desk",
            Mail(("Desk@northwind.example",), SUBJECT, "{{lead}}\n", "<p>{{lead.phone}}</p>"),
        ),
        Following(
            "drop", Files(Protocol.SFTP, "files.northwind.example", 22, "leads", "${env:PW}", host_key=HOST_KEY)
        ),
        Following(
            "night",
            Files(Protocol.FTPS, "192.0.2.7", 21, "leads", "${env:PW}", format=FileFormat.CSV, every_min=60),
        ),
    )  # fmt: skip


def test_a_seller_is_told_of_everything_unless_he_says_of_what() -> None:
    everything = read(changed(SELLER, HOOK)).sellers["acme"].webhook
    assert everything == Webhook("https://acme.example/hook", ("${env:ACME_HOOK}",), frozenset(SellerEvent))
    some = read(changed(SELLER, HOOK | {"events": ["post.returned"]})).sellers["acme"].webhook
    assert some is not None
    assert some.events == {SellerEvent.RETURNED}


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (changed(SELLER, {"url": HOOK["url"]}), HOOK_PATH, "must say either secret or secrets"),
        (changed(SELLER, HOOK | {"secrets": [SECRET]}), HOOK_PATH, "must say either secret or secrets"),
        (changed(SELLER, {"url": HOOK["url"], "secrets": []}), HOOK_PATH, "must have 1 to 5 secrets"),
        (changed(SELLER, {"url": HOOK["url"], "secrets": [SECRET] * 6}), HOOK_PATH, "must have 1 to 5 secrets"),
        (
            changed(SELLER, HOOK | {"secret": "s3cret"}),
            f"{HOOK_PATH}.secret",
            "must be whsec_ and 24 to 64 bytes in base64",
        ),
        (
            changed(SELLER, HOOK | {"events": ["post.sold"]}),
            f"{HOOK_PATH}.events[0]",
            "must be one of post.accepted, post.rejected, post.returned, not 'post.sold'",
        ),
        (changed(SELLER, HOOK | {"url": "ftp://x"}), f"{HOOK_PATH}.url", "must start with http:// or https://"),
        (changed(ORDER, [HOOK]), "orders.northwind-il.deliver", "must be a mapping (key: value), not a list"),
        (changed(ORDER, {"No": {"webhook": HOOK}}), "orders.northwind-il.deliver.No", KEY_RULE),
        (deliver(), X, "must say one of webhook, email, sftp, ftps and http"),
        (deliver(webhook=HOOK, email=MAIL), X, "must say one of webhook, email, sftp, ftps and http"),
        (deliver(webhook=HOOK, after_s=-1), f"{X}.after_s", "must be from 0 to 2592000, not -1"),
        (deliver(email=MAIL | {"to": []}), f"{X}.email", "must go to 1 to 10 addresses"),
        (
            deliver(email=MAIL | {"to": ["a@b.example\nBcc: c@d.example"]}),
            f"{X}.email.to[0]",
            "is no e-mail address: 'a@b.example\\nBcc: c@d.example'",
        ),
        (deliver(email=MAIL | {"subject": "a\nb"}), f"{X}.email.subject", "holds a control character"),
        (
            deliver(email=MAIL | {"text": "{{lead.ssn}}"}),
            f"{X}.email.text",
            "there is no value 'lead.ssn'; did you mean lead.born?",
        ),
        (
            deliver(email=MAIL | {"html": "{{lead.fone}}"}),
            f"{X}.email.html",
            "there is no value 'lead.fone'; did you mean lead.phone?",
        ),
        (
            deliver(email=MAIL | {"text": "{{price"}),
            f"{X}.email.text",
            "has a place for a value that is not written {{name}}",
        ),
        (deliver(email=MAIL | {"text": "x" * 20_001}), f"{X}.email.text", "is longer than 20,000 characters"),
        (deliver(sftp=SFTP | {"host": "a/b"}), f"{X}.sftp.host", "is no valid host: its name or address alone"),
        (
            deliver(sftp=SFTP | {"host_key": "ssh-ed25519 AAAA"}),
            f"{X}.sftp.host_key",
            "must be the server's public key such as ssh-ed25519 AAAA…, as ssh-keyscan shows it",
        ),
        (deliver(sftp=SFTP | {"key": "${env:KEY}"}), f"{X}.sftp", "must say either password or key"),
        (deliver(ftps=FTPS | {"format": "xml"}), f"{X}.ftps.format", "must be one of json, csv, not 'xml'"),
        (deliver(ftps=FTPS | {"every_min": 0}), f"{X}.ftps.every_min", "must be from 1 to 1440, not 0"),
        (
            changed(ORDER, {f"d{number}": {"webhook": HOOK} for number in range(11)}),
            "orders.northwind-il.deliver",
            "holds more than 10 entries",
        ),
    ],
)
def test_what_cannot_be_is_said_in_plain_words(document: Any, path: str, message: str) -> None:
    assert problems_of(document) == [f"{path}: {message}"]


def test_a_server_without_a_known_key_is_refused() -> None:
    sftp = {name: value for name, value in SFTP.items() if name != "host_key"}
    assert problems_of(deliver(sftp=sftp)) == ["orders.northwind-il.deliver.x.sftp.host_key: is missing"]


def test_secrets_are_covered_and_found_again_wherever_they_stand() -> None:
    whole = changed(SELLER, HOOK | {"secret": SECRET})
    whole = copy.deepcopy(whole)
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"
    sftp = {name: value for name, value in SFTP.items() if name != "password"} | {"key": key}
    signed = {"url": HOOK["url"], "secrets": [SECRET, "${env:NEXT}"]}
    whole["orders"]["northwind-il"]["deliver"] = {
        "a": {"webhook": signed}, "b": {"sftp": sftp}, "c": {"ftps": FTPS | {"password": "sesame"}},
    }  # fmt: skip
    whole["buyers"]["northwind"]["endpoint"]["signing"] = {"secret": SECRET}
    covered = mask(whole)
    assert not any(secret in str(covered) for secret in (SECRET, "sesame", "OPENSSH"))
    assert covered["orders"]["northwind-il"]["deliver"]["a"]["webhook"]["secrets"] == ["***", "${env:NEXT}"]
    assert covered["orders"]["northwind-il"]["deliver"]["b"]["sftp"]["host_key"] == HOST_KEY
    assert is_masked(covered)
    assert not is_masked(unmask(covered, whole))
    assert unmask(covered, whole) == whole
    text = " ".join(map(str, compare(None, read(whole))))
    assert not any(secret in text for secret in (SECRET, "sesame", "OPENSSH"))


def test_a_secret_that_changes_is_a_change_although_it_is_not_shown() -> None:
    before = read(changed(SELLER, HOOK | {"secret": SECRET}))
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    assert list(map(str, compare(before, read(changed(SELLER, HOOK | {"secret": other}))))) == [
        "~ sellers.acme.webhook.secret: *** -> ***"
    ]


def test_a_delivery_that_changes_is_told_by_its_name() -> None:
    before = read(changed(ORDER, DELIVER))
    after = copy.deepcopy(DELIVER)
    after["drop"]["sftp"]["port"] = 2222
    del after["crm"]
    found = list(map(str, compare(before, read(changed(ORDER, after)))))
    assert found[1] == "~ orders.northwind-il.deliver.drop.sftp.port: 22 -> 2222"
    assert found[0].startswith("- orders.northwind-il.deliver.crm: {")


def test_variables_that_are_not_set_are_warned_of_with_their_paths() -> None:
    document = changed(ORDER, DELIVER)
    document = copy.deepcopy(document)
    document["sellers"]["acme"]["webhook"] = {"url": HOOK["url"], "secrets": [SECRET, "${env:NEXT}"]}
    market = read(document)
    assert {
        ("sellers.acme.webhook.secrets[1]", "NEXT"),
        ("orders.northwind-il.deliver.crm.webhook.secret", "ACME_HOOK"),
        ("orders.northwind-il.deliver.drop.sftp.password", "PW"),
    } <= set(references(market))
    texts = [str(warning) for warning in warnings_of(market, {"PW": "x", "ACME_HOOK": "y"}, NOW)]
    assert "sellers.acme.webhook.secrets[1]: NEXT is not set here; a worker without it cannot send this" in texts


def test_a_private_key_may_have_its_line_breaks_written_out() -> None:
    assert resolve("${env:KEY}", {"KEY": "a\\nb\nc\r\n"}, lines=True) == "a\nb\nc\n"
    assert resolve("${env:KEY}", {"KEY": "a\nb"}) is None
    assert resolve("${env:KEY}", {"KEY": "a\x00b"}, lines=True) is None


def test_keys_that_cannot_be_had_sign_nothing() -> None:
    assert signing_keys((SECRET, "${env:A}"), {"A": SECRET}) == (bytes(range(32)),) * 2
    assert signing_keys((SECRET, "${env:A}"), {}) is None
    assert signing_keys(("${env:A}",), {"A": "no key"}) is None
    assert signing_keys((), {}) == ()


def test_limits_are_those_that_the_page_names() -> None:
    assert (limits.AFTER_S, limits.EVERY_MIN, limits.PORT) == ((0, 2_592_000), (1, 1_440), (1, 65_535))


def test_a_request_of_its_own_kind_is_read_covered_and_compared() -> None:
    whole = deliver(http=CALL)
    [found] = read(whole).orders["northwind-il"].deliver
    assert isinstance(found.means, Call)
    assert (found.kind, found.means.url, found.means.auth.name) == ("http", "https://sms.example/v1", "account")
    assert not found.means.marks_tests
    covered = mask(whole)
    shown = covered["orders"]["northwind-il"]["deliver"]["x"]["http"]
    assert (shown["auth"]["basic"], shown["fields"]["To"]) == (
        {"user": "account", "password": "***"},
        {"secret": "${env:DESK_PHONE}"},
    )
    assert unmask(covered, whole) == whole
    assert (f"{X}.http", "DESK_PHONE") in references(read(whole))
    other = CALL | {"url": "https://sms.example/v2", "auth": {"basic": {"user": "account", "password": "other"}}}
    assert sorted(map(str, compare(read(whole), read(deliver(http=other))))) == [
        f"~ {X}.http.auth.basic.password: *** -> ***",
        f"~ {X}.http.url: https://sms.example/v1 -> https://sms.example/v2",
    ]


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"fields": {"x": {"value": "floor"}}}, "http", "there is no floor once a lead is sold"),
        ({"reply": CALL["reply"] | {"reference": "id"}}, "http",
         "reply: price, bid_id, sale, max_shares, bids, not_found, reason, reference, redirect_url are not read here"),
        ({"reply": {"format": "json", "success": []}}, "http.reply",
         "success has no condition: nothing would ever be a yes"),
        ({"method": "GET"}, "http", "method GET goes with body query only"),
        ({"url": "ftp://h/"}, "http.url", "must start with http:// or https://"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_is_refused(changes: dict[str, Any], path: str, message: str) -> None:
    assert problems_of(deliver(http=CALL | changes)) == [f"{X}.{path}: {message}"]


OAUTH2 = {"token_url": "https://a.example/t", "client_id": "lx", "secret": "hush"}


@pytest.mark.parametrize("way", [{"http": CALL}, {"webhook": HOOK}], ids=["http", "webhook"])
def test_whom_a_delivery_is_known_by_is_read_covered_and_compared(way: dict[str, Any]) -> None:
    [(kind, terms)] = way.items()
    auth = {"oauth2": OAUTH2 | {"secret": "${env:CLIENT}-hush"}}
    whole = deliver(**{kind: terms | {"auth": auth}})
    [found] = read(whole).orders["northwind-il"].deliver
    assert isinstance(found.means, LeadWebhook | Call)
    assert (found.means.auth.kind, found.means.auth.name) == (AuthKind.OAUTH2, "lx")
    covered = mask(whole)
    assert covered["orders"]["northwind-il"]["deliver"]["x"][kind]["auth"]["oauth2"]["secret"] == "${env:CLIENT}***"
    assert list(covered["orders"]["northwind-il"]["deliver"]["x"][kind]) == [*terms, *({"auth"} - set(terms))]
    assert unmask(covered, whole) == whole
    assert (f"{X}.{kind}.auth.oauth2.secret", "CLIENT") in references(read(whole))
    other = deliver(**{kind: terms | {"auth": {"oauth2": OAUTH2 | {"secret": "${env:CLIENT}-other"}}}})
    [change] = map(str, compare(read(whole), read(other)))
    assert change == f"~ {X}.{kind}.auth.oauth2.secret: ${{env:CLIENT}}*** -> ${{env:CLIENT}}***"
    assert (
        mask(deliver(**{kind: terms | {"auth": "none"}}))["orders"]["northwind-il"]["deliver"]["x"][kind]["auth"]
        == "none"
    )


def test_a_webhook_that_decides_a_sale_has_no_other_auth_than_its_signature() -> None:
    decides = changed("buyers/northwind/endpoint", {"webhook": HOOK | {"auth": {"bearer": "x"}}})
    decides["orders"]["northwind-il"]["price"] = "12.00"
    [problem] = problems_of(decides)
    assert "webhook.auth is for what follows a sale" in problem


def test_a_request_that_speaks_of_fields_that_are_not_there_is_warned_of() -> None:
    found = warnings_of(read(deliver(http=CALL | {"fields": {"a": "zip", "b": "shoe_size"}})), {}, NOW)
    assert f"{X}.http: never sends shoe_size: the vertical has none" in [
        f"{item.path}: {item.message}" for item in found
    ]


def test_conditions_and_retries_are_read_and_compared() -> None:
    terms = {
        "when": {"zip": ["60601"]},
        "after": "crm",
        "in_hours": True,
        "on": "born",
        "at": "09:30",
        "retry": {"tries": 3, "longest_s": 60},
    }
    both = {"crm": {"webhook": HOOK}, "text": {"http": CALL} | terms}
    before, after = read(changed(ORDER, both | {"text": {"http": CALL}})), read(changed(ORDER, both))
    found = after.orders["northwind-il"].deliver[1]
    assert (found.after, found.instead_of, found.in_hours, found.retry) == ("crm", None, True, Retry(3, None, 60))
    assert (found.on, found.at_minute) == ("born", 570)
    assert found.when.conditions["zip"].any_of == frozenset({"60601"})
    path = "orders.northwind-il.deliver.text"
    assert sorted(map(str, compare(before, after))) == [
        f"+ {path}.after: crm",
        f'+ {path}.at: "09:30"',
        f"+ {path}.in_hours: true",
        f"+ {path}.on: born",
        f"+ {path}.retry: {{tries: 3, longest_s: 60}}",
        f"+ {path}.when: {{zip: [60601]}}",
    ]


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        ({"after": "crn"}, "x.after", "there is no delivery 'crn'; did you mean crm?"),
        ({"after": "crm", "instead_of": "crm"}, "x", "must say either after or instead_of"),
        ({"after": "x"}, "x", "waits for itself"),
        ({"on": "bornn"}, "x.on", "there is no field 'bornn'; did you mean born?"),
        ({"on": "zip"}, "x.on", "'zip' is a field of type us_zip, not a date"),
        ({"on": "born", "at": "9:00"}, "x.at", 'must be HH:MM, such as "09:00"'),
        ({"at": "09:00"}, "x", "at is the time of a day: say on which, with on"),
        ({"when": {"shoe": 5}}, "x.when.shoe", "there is no field 'shoe'"),
        ({"retry": {}}, "x.retry", "must say something: tries, first_s or longest_s"),
        ({"retry": {"first_s": 9, "longest_s": 5}}, "x.retry", "first_s is more than longest_s"),
        ({"retry": {"tries": 0}}, "x.retry.tries", "must be from 1 to 1000, not 0"),
    ],
)
def test_conditions_that_cannot_be_are_refused(changes: dict[str, Any], path: str, message: str) -> None:
    document = changed(ORDER, {"crm": {"webhook": HOOK}, "x": {"http": CALL} | changes})
    found = problems_of(document)
    assert found
    assert found[0].startswith(f"orders.northwind-il.deliver.{path}: {message}")


def test_deliveries_that_wait_for_each_other_are_refused() -> None:
    document = changed(ORDER, {"a": {"http": CALL, "after": "b"}, "b": {"http": CALL, "instead_of": "a"}})
    assert problems_of(document) == [
        "orders.northwind-il.deliver.a: waits for itself",
        "orders.northwind-il.deliver.b: waits for itself",
    ]


def test_what_is_gathered_waits_for_nothing_else() -> None:
    assert problems_of(deliver(ftps=FTPS, in_hours=True)) == [
        f"{X}: every_min has times of its own: after, instead_of, in_hours and on do not go with it"
    ]
