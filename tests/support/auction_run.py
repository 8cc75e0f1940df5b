"""Plays an auction case and says where it does not come out as the file has it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from exchange.marketfile.reader import read
from exchange.past.replay import replay
from exchange.rules.book import CampaignBook, RuleBook, compile_book
from exchange.rules.routing import failing_fields
from exchange.storage import catalogue, history
from exchange.storage.pings import RecordedPing
from exchange.values.ids import moment_of
from exchange.values.money import format_amount
from exchange.values.reason import Reason
from support.auction_case import TIED, Case, Document, Expected, Offer, Post, PostExpected, Sent, Step
from support.auction_market import CAMPAIGN
from support.auction_stage import Stage, open_stage
from support.buyer import Received
from support.waiting import until
from support.world import World

Faults = Iterator[str]

_ANSWERED = frozenset(
    {
        *(Reason.NO_BID, Reason.WON, Reason.OUTBID, Reason.BELOW_MIN_PRICE),
        *(Reason.SERVER_ERROR, Reason.CLIENT_ERROR, Reason.TOO_MANY_REQUESTS, Reason.REDIRECT_REFUSED),
        *(Reason.BELOW_FLOOR, Reason.ABOVE_MAX_BID, Reason.INVALID_PRICE, Reason.WRONG_CURRENCY, Reason.LATE),
    }
)
"""Reasons of an order that was asked and has answered: it was sent exactly one request."""


async def faults_of(case: Case, world: World) -> list[str]:
    """Everything that is not as the case says; empty where all is."""
    found = []
    async with open_stage(world, case) as stage:
        for number, step in enumerate(case.steps, 1):
            where = f"step {number}: " if len(case.steps) > 1 else ""
            found += [where + fault for fault in await _step(stage, step)]
    await world.assert_sound()
    return found


async def _step(stage: Stage, step: Step) -> list[str]:
    if step.market:
        await stage.change(step.market)
    stage.bids |= step.bids
    found: list[str] = []
    winners: set[str] = set()
    for _ in range(step.repeat):
        answer = await _ping(stage, step)
        if "ping_id" not in answer:
            return [f"the ping was answered {answer}"]
        ping = await stage.recorded(answer["ping_id"])
        rules = await _rules(stage, ping.market_version)
        reasons = _reasons(stage, ping, rules.campaigns[ping.campaign])
        winners |= {order for order, given in reasons.items() if given == ["won"]}
        found += [*_ping_faults(stage, step.expect, answer, ping), *_reason_faults(step.expect, reasons)]
        found += [*_asked_faults(stage, ping), *_sent_faults(step.expect.sent, stage.asked())]
        found += _record_faults(stage, step.expect, ping, rules)
        if step.post is not None and not found:
            found += await _post(stage, step, step.post, answer)
    tied = {order for order, reason in step.expect.reasons.items() if reason == TIED}
    if step.repeat > 1 and not tied <= winners:
        found.append(f"tied: in {step.repeat} pings {sorted(tied - winners)} never won")
    return found


async def _ping(stage: Stage, step: Step) -> Document:
    """The answer to the step's ping, sent again for a while where what is expected need only be so soon."""

    async def ask() -> Document:
        found: Document = (await stage.ping(step.ping)).json()
        return found

    def is_right(answer: Document) -> bool:
        offer = step.expect.offer
        end = "offered" if offer else "unsold" if step.expect.unsold else "refused"
        is_end = answer.get("status") == end and (offer is None or answer.get("price") == offer.price)
        return not step.soon or is_end

    return await until(ask, is_right)


async def _rules(stage: Stage, version: int) -> RuleBook:
    """The market of a version as it is stored, compiled anew."""
    found = await catalogue.version(stage.world.database, version)
    assert found is not None
    return compile_book(read(found.document), found.version, {})


# The ping


def _ping_faults(stage: Stage, expect: Expected, answer: Document, ping: RecordedPing) -> Faults:
    reason = answer.get("reason", {}).get("name")
    yield from _unlike("answer", {key: answer.get(key) for key in expect.answer}, expect.answer)
    if expect.offer is not None:
        yield from _differs("status", answer["status"], "offered" + (f" ({reason})" if reason else ""))
        if ping.ladder:
            yield from _offer_faults(stage, expect.offer, answer, ping)
        return
    end = "unsold" if expect.unsold else "refused"
    yield from _differs("status", f"{answer['status']} {reason}", f"{end} {expect.unsold or expect.refused}")


def _offer_faults(stage: Stage, offer: Offer, answer: Document, ping: RecordedPing) -> Faults:
    won = [stage.names.bare(item.order) for item in ping.outcomes if item.reason is Reason.WON]
    if offer.winner != [TIED]:
        yield from _differs("winner", sorted(won), sorted(offer.winner))
    yield from _differs("price", answer.get("price"), offer.price)
    yield from _differs("recorded price", format_amount(ping.payout_micros or 0), answer.get("price"))
    if offer.gross is not None:
        yield from _differs("gross", format_amount(ping.ladder[0].gross_micros), offer.gross)
    if offer.ladder is not None:
        yield from _differs("ladder", [stage.names.bare(rung.order) for rung in ping.ladder], offer.ladder)


def _reasons(stage: Stage, ping: RecordedPing, book: CampaignBook) -> dict[str, list[str]]:
    """All that is said of each order of the campaign: what is recorded, and `filtered` where its filter says so."""
    found: dict[str, list[str]] = {stage.names.bare(entry.key): [] for entry in book.entries}
    for outcome in ping.outcomes:
        found.setdefault(stage.names.bare(outcome.order), []).append(outcome.reason.wire_name)
    for entry in book.entries:
        if failing_fields(book, entry, book.with_ages(ping.lead, moment_of(ping.ping_id))):
            found[stage.names.bare(entry.key)].append(Reason.FILTERED.wire_name)
    return found


def _reason_faults(expect: Expected, found: Mapping[str, Sequence[str]]) -> Faults:
    """Each order has exactly one reason; where the ping itself is refused, nothing but its filter says any of it."""
    if expect.refused:
        told = {order: given for order, given in found.items() if given not in ([], [Reason.FILTERED.wire_name])}
        yield from _differs("reasons of a refused ping", told, {})
        return
    for order in sorted(found.keys() | expect.reasons.keys()):
        given, expected = found.get(order, ["no such order"]), expect.reasons.get(order, "not said in the case")
        if expected == TIED and given in (["won"], ["outbid"]):
            continue
        yield from _differs(f"reason of {order}", " and ".join(given) or "none", expected)


def _asked_faults(stage: Stage, ping: RecordedPing) -> Faults:
    """Whom the record has as asked was sent one request, whom it has not was sent none."""
    outcomes = {stage.names.bare(item.order): item for item in ping.outcomes}
    sent = {order: len(requests) for order, requests in stage.asked().items()}
    for order in sorted(outcomes.keys() | sent.keys()):
        outcome = outcomes.get(order)
        if outcome is None or outcome.elapsed_ms is None:
            yield from _differs(f"requests to {order}", sent.get(order, 0), 0)
        elif outcome.reason in _ANSWERED:
            yield from _differs(f"requests to {order}", sent.get(order, 0), 1)


def _record_faults(stage: Stage, expect: Expected, ping: RecordedPing, rules: RuleBook) -> Faults:
    """What else is on record, and whether the auction comes out of it again."""
    book = rules.campaigns[stage.names.full(CAMPAIGN)]
    gross = {stage.names.bare(item.order): item.gross_micros for item in ping.outcomes}
    shown = {order: None if micros is None else format_amount(micros) for order, micros in gross.items()}
    yield from _unlike("gross of", {order: shown.get(order) for order in expect.gross}, expect.gross)
    for order, fields in expect.fails.items():
        lead = book.with_ages(ping.lead, moment_of(ping.ping_id))
        failing = failing_fields(book, book.by_key[stage.names.full(order)], lead)
        yield from _differs(f"what fails {order}", sorted(found.path for found in failing), sorted(fields))
    again = replay(ping, rules)
    yield from map(str, again.differences if again else ())


# The post


async def _post(stage: Stage, step: Step, post: Post, offer: Document) -> list[str]:
    if post.market:
        await stage.change(post.market)
    stage.answers = dict(post.answers)
    answered = await stage.post(offer["ping_id"], post.lead, step.ping.seller)
    answer, expect = answered.json(), post.expect
    found = [*_post_faults(expect, answer, offer)]
    attempts = await _attempts(stage, answer["post_id"]) if "post_id" in answer else {}
    found += _differs("attempts", list(attempts.items()), list(expect.attempts.items()))
    reached = sorted(order for order, reason in expect.attempts.items() if reason != Reason.NOT_SENT.wire_name)
    delivered = sorted(order for order, sent in stage.delivered().items() for _ in sent)
    found += _differs("deliveries", delivered, reached)
    found += _sent_faults(expect.sent, stage.delivered())
    if expect.becomes is not None:
        found += await _becomes(stage, step, answer["post_id"], expect.becomes)
    return found + await _money_faults(stage, expect, answer)


def _post_faults(expect: PostExpected, answer: Document, offer: Document) -> Faults:
    yield from _unlike("post answer", {key: answer.get(key) for key in expect.answer}, expect.answer)
    if expect.problem is not None:
        yield from _differs("post", answer.get("code", answer), expect.problem)
        return
    said = (answer.get("status"), answer.get("price") or answer.get("reason", {}).get("name"))
    for word in ("accepted", "rejected", "pending"):
        if (expected := getattr(expect, word)) is not None:
            yield from _differs("post", said, (word, expected))
    if answer.get("status") == "accepted" and "legs" not in offer:
        yield from _differs("price of the post", answer.get("price"), offer["price"])


async def _attempts(stage: Stage, post_id: str) -> dict[str, str]:
    """The attempts in the order in which they were made, once each has its outcome."""
    found = await until(
        lambda: history.attempts_of(stage.world.database, UUID(post_id)),
        lambda attempts: all(item.reason is not None for item in attempts),
    )
    return {stage.names.bare(item.order): item.reason.wire_name for item in found if item.reason is not None}


async def _becomes(stage: Stage, step: Step, post_id: str, status: str) -> list[str]:
    async def look() -> Document:
        found: Document = (await stage.world.get(f"/v1/posts/{post_id}", stage.names.full(step.ping.seller))).json()
        return found

    found = await until(look, lambda post: post["status"] != "pending")
    return [*_differs("the post becomes", found["status"], status)]


async def _money_faults(stage: Stage, expect: PostExpected, answer: Document) -> list[str]:
    balances, held = await stage.accounts()
    found = [*_unlike("balance of", {name: balances.get(name) for name in expect.balances}, expect.balances)]
    found += _unlike("held of", {name: held.get(name) for name in expect.held}, expect.held)
    if expect.margin is not None:
        [row] = await stage.world.rows(
            "select coalesce(sum(amount_micros), 0)::bigint as margin from transfers join attempts using (attempt_id) "
            "where post_id = $1 and kind = 'margin'",
            answer["post_id"],
        )
        found += _differs("margin", format_amount(row["margin"]), expect.margin)
    return found


# What buyers were sent


def _sent_faults(expected: Mapping[str, Sent], received: Mapping[str, Sequence[Received]]) -> Faults:
    for order, sent in expected.items():
        if order not in received:
            yield f"nothing was sent to {order}"
            continue
        request = received[order][-1]
        if sent.lead is not None:
            yield from _differs(f"lead sent to {order}", request.json["lead"], sent.lead)
        yield from _unlike(f"body sent to {order}:", {key: request.json.get(key) for key in sent.body}, sent.body)
        headers = {name.lower(): value for name, value in sent.headers.items()}
        yield from _unlike(f"header sent to {order}:", {name: request.headers.get(name) for name in headers}, headers)


def _unlike(what: str, found: Mapping[str, Any], expected: Mapping[str, Any]) -> Faults:
    for key, value in expected.items():
        yield from _differs(f"{what} {key}", found[key], value)


def _differs(what: str, found: object, expected: object) -> Faults:
    if found != expected:
        yield f"{what}: {found!r}, expected {expected!r}"
