"""The checker by itself: a story in which all witnesses agree, and what it says to each lie that is told in it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from exchange.simulation.books import TransferRow
from exchange.simulation.chaos.books import Attempt, Books, Broken, Change, Ping, Post, Queued
from exchange.simulation.chaos.checker import check, report
from exchange.simulation.chaos.diary import ANSWERED, PING, POST, Asked, Seen
from exchange.simulation.chaos.evidence import Witnesses
from exchange.simulation.chaos.market import Limits, Terms
from exchange.simulation.chaos.rules_books import CAP, FORWARD, MONEY, ONE_LIVE, OVERDRAWN, RESOLVED, SNAPSHOT
from exchange.simulation.chaos.rules_buyers import (
    AS_BID,
    NO_CONTACT,
    ONE_SALE_A_PERSON,
    ONE_TAKER,
    RECORDED_BEFORE,
    SAME_STORY,
    SENT_ONCE,
)
from exchange.simulation.chaos.rules_told import ACKNOWLEDGED, LOOKED_UP, REFUSED, REPLAYED

PHONE, EMAIL = "+13125550123", "canary-1-0000000a@example.com"
GROSS, PAYOUT = 21_000_000, 17_850_000
PING_ID, POST_ID, ATTEMPT_ID = (f"01a205b9-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))
LEAD = {"zip": "60601", "phone": PHONE, "email": EMAIL}
SOLD = {"post_id": POST_ID, "ping_id": PING_ID, "status": "accepted", "price": "17.85"}
GATEWAY = "http://127.0.0.1:8000"


def asked(at: float, path: str, answer: Mapping[str, Any], ping_id: str | None = None, status: int = 200) -> Asked:
    said = orjson.dumps(answer).decode()
    return Asked(at, at + 0.2, "acme", GATEWAY, path, "auto", PHONE, EMAIL, False, ping_id, None, False, status, said)


def records() -> Books:
    """What the database has of it."""
    return Books(
        pings=(Ping(PING_ID, "acme", "auto", "offered", None, PAYOUT),),
        posts=(Post(POST_ID, PING_ID, "acme", "auto", "accepted", False, PAYOUT, None, 2.05),),
        attempts=(
            Attempt(ATTEMPT_ID, POST_ID, PING_ID, "alpha-auto", "alpha", "accepted", False, True, GROSS, PAYOUT, 2.05),
        ),
        transfers=(
            TransferRow(ATTEMPT_ID, "charge", GROSS, "buyer:alpha", "exchange:clearing"),
            TransferRow(ATTEMPT_ID, "payout", PAYOUT, "exchange:clearing", "seller:acme"),
            TransferRow(ATTEMPT_ID, "margin", GROSS - PAYOUT, "exchange:clearing", "exchange:margin"),
        ),
        history=(
            Change(1, 2.06, "post", POST_ID, PING_ID, "acme", None, "in_progress", None, ""),
            Change(2, 2.07, "attempt", ATTEMPT_ID, PING_ID, "alpha-auto", None, "prepared", 1, ""),
            Change(3, 2.15, "attempt", ATTEMPT_ID, PING_ID, "alpha-auto", "prepared", "accepted", 1, ""),
            Change(4, 2.16, "post", POST_ID, PING_ID, "acme", "in_progress", "accepted", None, "answer kept"),
        ),
    )


def story() -> Witnesses:
    """One lead: offered, posted, sold, looked up."""
    bid = orjson.dumps({"ping_id": PING_ID, "lead": {"zip": "60601"}}).decode()
    post = orjson.dumps({"ping_id": PING_ID, "campaign": "auto", "test": False, "lead": LEAD}).decode()
    return Witnesses(
        told=[
            asked(1.0, "/v1/ping", {"ping_id": PING_ID, "status": "offered", "price": "17.85"}),
            asked(2.0, "/v1/post", SOLD, PING_ID),
            asked(3.0, f"/v1/posts/{POST_ID}", SOLD),
        ],
        seen=[
            Seen(1.1, "alpha", PING, PING_ID, "", "alpha-auto", "21.00", body=bid),
            Seen(2.1, "alpha", POST, PING_ID, ATTEMPT_ID, "alpha-auto", "21.00", "accepted", "answer", 0, post),
            Seen(2.11, "alpha", ANSWERED, "", ATTEMPT_ID, move="answer"),
        ],
        books=records(),
        terms=Terms(
            order_limits={"alpha-auto": Limits({"day": 1}, {"day": GROSS})},
            seller_limits={},
            campaign_limits={"auto": Limits({"total": 1}, {})},
            duplicate_campaigns=frozenset({"auto"}),
            duplicate_buyers=frozenset(),
            idempotent=frozenset(),
            has_status=frozenset({"alpha"}),
        ),
    )  # fmt: skip


def told(*more: Asked) -> Callable[[Witnesses], Witnesses]:
    return lambda found: replace(found, told=[*found.told, *more])


def seen(*more: Seen) -> Callable[[Witnesses], Witnesses]:
    return lambda found: replace(found, seen=[*found.seen, *more])


def attempt(**changes: Any) -> Callable[[Witnesses], Witnesses]:
    return lambda found: in_books(found, attempts=tuple(replace(item, **changes) for item in found.books.attempts))


def post(**changes: Any) -> Callable[[Witnesses], Witnesses]:
    return lambda found: in_books(found, posts=tuple(replace(item, **changes) for item in found.books.posts))


def changed(*more: Change) -> Callable[[Witnesses], Witnesses]:
    return lambda found: in_books(found, history=(*found.books.history, *more))


def second_attempt(found: Witnesses) -> Witnesses:
    other = replace(found.books.attempts[0], attempt_id=ATTEMPT_ID.replace("03", "09"), buyer="beta", state="unknown")
    change = Change(5, 2.2, "attempt", other.attempt_id, PING_ID, "alpha-auto", None, "prepared", 1, "")
    return changed(change)(in_books(found, attempts=(*found.books.attempts, other)))


def in_books(found: Witnesses, **changes: Any) -> Witnesses:
    return replace(found, books=replace(found.books, **changes))


AGAIN = story().seen[1]
OTHER_LEAD = {**LEAD, "email": EMAIL.upper()}
LIES: tuple[tuple[str, str, Callable[[Witnesses], Witnesses]], ...] = (
    ("a sale that is not recorded", ACKNOWLEDGED, post(state="pending")),
    ("an offer that is not recorded", ACKNOWLEDGED, lambda found: in_books(found, pings=())),
    ("a sale at another price", ACKNOWLEDGED, post(payout_micros=PAYOUT - 1)),
    ("another answer to a repeat", REPLAYED, told(asked(4.0, "/v1/post", SOLD | {"status": "pending"}, PING_ID))),
    ("another lead, answered", REPLAYED, told(replace(asked(4.0, "/v1/post", SOLD, PING_ID), body_is_other=True))),
    ("a claim behind a 503", REFUSED, lambda found: replace(found, told=[
        asked(2.0, "/v1/post", {"code": "unavailable"}, PING_ID, 503),
        *found.told[:1],
        asked(5.0, "/v1/post", SOLD, PING_ID),
    ])),
    ("a look at something else", LOOKED_UP, told(asked(4.0, f"/v1/posts/{POST_ID}", SOLD | {"status": "rejected"}))),
    ("two takers", ONE_TAKER, seen(replace(AGAIN, buyer="beta"))),
    ("a delivery again", SENT_ONCE, seen(replace(AGAIN, repeat=1))),
    ("a person twice", ONE_SALE_A_PERSON, seen(replace(
        AGAIN, ping_id=POST_ID, attempt_id=POST_ID,
        body=orjson.dumps({"campaign": "auto", "test": False, "lead": OTHER_LEAD}).decode(),
    ))),
    ("a rejection that was a sale", SAME_STORY, attempt(state="rejected")),
    ("nothing sent, and it arrived", SAME_STORY, attempt(state="not_sent")),
    ("a delivery before its record", RECORDED_BEFORE, attempt(at=2.5)),
    ("a delivery without a record", RECORDED_BEFORE, lambda found: in_books(found, attempts=())),
    ("another price than the bid", AS_BID, seen(replace(AGAIN, what=PING, price="22.00", body=""))),
    ("a telephone number at ping", NO_CONTACT, seen(Seen(1.2, "beta", PING, PING_ID, body='{"p": "3125550123"}'))),
    ("a mailbox at ping", NO_CONTACT, seen(Seen(1.2, "beta", PING, PING_ID, body=EMAIL.upper()))),
    ("money that did not move", MONEY, lambda found: in_books(found, transfers=found.books.transfers[:2])),
    ("a snapshot that was wrong", SNAPSHOT, lambda found: replace(found, broken=[Broken(2.0, "the rule", 1)])),
    ("an account below its limit", OVERDRAWN, changed(
        Change(5, 2.2, "overdrawn", "1", "", "alpha", None, "-5", None, "")
    )),
    ("a sale undone", FORWARD, changed(
        Change(5, 2.2, "attempt", ATTEMPT_ID, PING_ID, "", "accepted", "rejected", 1, "")
    )),
    ("a cap exceeded", CAP, second_attempt),
    ("two live attempts", ONE_LIVE, second_attempt),
    ("an unknown that nobody asked about", RESOLVED, attempt(state="unknown")),
    ("a post without an end", RESOLVED, post(state="in_progress")),
)  # fmt: skip


def test_a_story_in_which_all_agree_breaks_no_rule() -> None:
    assert not check(story()), report(check(story()))


@pytest.mark.parametrize(("rule", "lie"), [item[1:] for item in LIES], ids=[item[0] for item in LIES])
def test_a_lie_is_found(rule: str, lie: Callable[[Witnesses], Witnesses]) -> None:
    assert rule in {violation.rule for violation in check(lie(story()))}


def test_a_story_is_told_in_the_order_of_time() -> None:
    [violation] = [item for item in check(attempt(state="rejected")(story())) if item.rule == SAME_STORY]
    times = [line.split()[0] for line in violation.story]
    assert times == sorted(times)
    assert any("alpha     gets, notes accepted" in line for line in violation.story)
    assert report([violation]).startswith(f"BROKEN: {SAME_STORY}")


NONE: frozenset[str] = frozenset()
QUEUED = {"post_id": POST_ID, "ping_id": PING_ID, "status": "queued"}


def waited(state: str, *told: Mapping[str, Any], posted: bool = False, **changes: Any) -> list[str]:
    """What is said of a lead that was told `queued` and lies in the queue in a state, and of what was told besides."""
    answer = orjson.dumps(QUEUED).decode()
    place = replace(Queued(POST_ID, PING_ID, "acme", state, answer), **changes)
    books = records()
    if not posted:
        books = Books(pings=books.pings)
    asked_for = [asked(2.0, "/v1/leads", QUEUED)] + [asked(3.0, f"/v1/posts/{POST_ID}", item) for item in told]
    witnesses = Witnesses(asked_for, (), replace(books, queued=(place,)), Terms({}, {}, {}, NONE, NONE, NONE, NONE))
    return [found.text for found in check(witnesses) if found.rule in {ACKNOWLEDGED, LOOKED_UP}]


@pytest.mark.parametrize(
    ("state", "told", "posted"),
    [
        ("waiting", [QUEUED], False),
        ("ended", [QUEUED, QUEUED | {"status": "rejected"}], False),
        ("posted", [QUEUED, SOLD], True),
    ],
)
def test_what_became_of_a_queued_lead_agrees(state: str, told: list[Mapping[str, Any]], posted: bool) -> None:
    assert waited(state, *told, posted=posted) == []


@pytest.mark.parametrize(
    ("state", "told", "posted", "changes", "says"),
    [
        ("waiting", [], False, {"post_id": "gone"}, "was told queued, and it is not recorded"),
        ("waiting", [], False, {"answer": "{}"}, "another answer than is kept"),
        ("waiting", [], False, {"seller": "other"}, "recorded for another seller"),
        ("posted", [], False, {}, "so is not its post"),
        ("ended", [], True, {}, "so is not its post"),
        ("waiting", [QUEUED | {"status": "rejected"}], False, {}, "was told rejected, recorded is waiting"),
        ("ended", [QUEUED | {"status": "accepted"}], False, {}, "was told accepted, recorded is ended"),
    ],
)
def test_a_lie_about_a_queued_lead_is_told(
    state: str, told: list[Mapping[str, Any]], posted: bool, changes: dict[str, Any], says: str
) -> None:
    assert any(says in text for text in waited(state, *told, posted=posted, **changes))
