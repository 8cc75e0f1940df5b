"""What sellers were told, held against the records: acknowledged is recorded, a replay is the first answer."""

from collections.abc import Iterator

from exchange.simulation.chaos.books import Queued
from exchange.simulation.chaos.diary import Asked
from exchange.simulation.chaos.evidence import Evidence, Violation, ping_of
from exchange.simulation.chaos.sellers import LEADS_PATH, PING_PATH, POST_PATH
from exchange.values.money import parse_amount

ACKNOWLEDGED = "what was acknowledged is recorded"
REPLAYED = "a replay is the first answer"
REFUSED = "a 5xx leaves nothing behind"
LOOKED_UP = "what GET says is so"


def told_violations(evidence: Evidence) -> Iterator[Violation]:
    """Every way in which a seller was told what is not so."""
    yield from _acknowledged(evidence)
    yield from _replays(evidence)
    yield from _refusals(evidence)


def _acknowledged(evidence: Evidence) -> Iterator[Violation]:
    found = set()
    for asked in evidence.witnesses.told:
        wrong = None if asked.status != 200 else _wrong(evidence, asked)
        if wrong is not None and wrong not in found:
            found.add(wrong)
            rule = ACKNOWLEDGED if asked.path in {PING_PATH, POST_PATH, LEADS_PATH} else LOOKED_UP
            yield evidence.violation(rule, wrong, _lead_of(evidence, asked))


def _wrong(evidence: Evidence, asked: Asked) -> str | None:
    document = asked.document
    if asked.path == PING_PATH:
        return _wrong_offer(evidence, asked) if document.get("status") == "offered" else None
    if asked.path in {POST_PATH, LEADS_PATH}:
        return _wrong_post(evidence, asked)
    post = evidence.posts.get(str(document.get("post_id")))
    if post is None and (queued := _queued(evidence, document.get("post_id"))) is not None:
        return _wrong_wait(asked, queued)
    if post is None:
        return f"{asked.seller} is shown post {document.get('post_id')}, which is not recorded"
    said = document.get("status")
    if said in {"accepted", "rejected"} and said != post.state:
        return f"{asked.seller} is shown post {post.post_id} as {said}, recorded is {post.state}"
    return None


def _wrong_offer(evidence: Evidence, asked: Asked) -> str | None:
    document = asked.document
    ping = evidence.pings.get(str(document.get("ping_id")))
    if ping is None:
        return f"{asked.seller} was offered {document.get('price')} for a ping that is not recorded"
    if (ping.seller, ping.status) != (asked.seller, "offered"):
        return f"ping {ping.ping_id}: {asked.seller} was told offered, recorded is {ping.seller} and {ping.status}"
    if ping.payout_micros != parse_amount(str(document.get("price"))):
        return f"ping {ping.ping_id}: {document.get('price')} was offered, recorded is {ping.payout_micros}"
    return None


def _queued(evidence: Evidence, post_id: object) -> Queued | None:
    return next((item for item in evidence.witnesses.books.queued if item.post_id == post_id), None)


def _wrong_wait(asked: Asked, queued: Queued) -> str | None:
    """A lead that was not sold waits; only one whose wait has ended is rejected."""
    said, subject = asked.document.get("status"), f"queued lead {queued.post_id}"
    if queued.seller != asked.seller:
        return f"{subject}: it is recorded for another seller"
    if said == "queued" or (said == "rejected" and queued.state == "ended"):
        return None
    return f"{subject}: {asked.seller} was told {said}, recorded is {queued.state}"


def _wrong_queued(evidence: Evidence, asked: Asked) -> str | None:
    """Whoever was told `queued` has a place in the queue, whatever has become of it, with that very answer."""
    queued = _queued(evidence, asked.document.get("post_id"))
    if queued is None:
        return f"post {asked.document.get('post_id')}: {asked.seller} was told queued, and it is not recorded"
    if queued.answer != asked.answer:
        return f"queued lead {queued.post_id}: {asked.seller} was told another answer than is kept"
    if (queued.state == "posted") != (queued.post_id in evidence.posts):
        return f"queued lead {queued.post_id} is {queued.state}, and so is not its post"
    return _wrong_wait(asked, queued)


def _wrong_post(evidence: Evidence, asked: Asked) -> str | None:
    document = asked.document
    status, post_id = document.get("status"), document.get("post_id")
    if status == "queued":
        return _wrong_queued(evidence, asked)
    if post_id is None:
        return None if status == "rejected" else f"{asked.seller} was told {status} without a post"
    post = evidence.posts.get(str(post_id))
    if post is None:
        return f"post {post_id}: {asked.seller} was told {status}, and it is not recorded"
    if post.seller != asked.seller or post.ping_id != document.get("ping_id"):
        return f"post {post_id}: it is recorded for another seller or ping"
    if status not in {"pending", post.state}:
        return f"post {post_id}: {asked.seller} was told {status}, recorded is {post.state}"
    if status == "accepted" and parse_amount(str(document.get("price"))) != post.payout_micros:
        return f"post {post_id}: told was {document.get('price')}, recorded is {post.payout_micros}"
    return None


def _replays(evidence: Evidence) -> Iterator[Violation]:
    """One answer a ping, and one a key, whoever asked how often, at whatever gateway."""
    groups: dict[tuple[str, str, str], dict[str, list[Asked]]] = {}
    for asked in evidence.witnesses.told:
        if asked.status != 200 or asked.answer is None or asked.path not in {POST_PATH, LEADS_PATH}:
            continue
        names = [(asked.path, asked.seller, asked.key)] if asked.key is not None else []
        if asked.path == POST_PATH and asked.ping_id is not None:
            names.append((asked.path, "ping", asked.ping_id))
        for name in names:
            groups.setdefault(name, {}).setdefault(asked.answer, []).append(asked)
    found: set[tuple[str, ...]] = set()
    for answers in groups.values():
        pings = tuple(dict.fromkeys(_lead_of(evidence, asked) for group in answers.values() for asked in group))
        if len(answers) > 1 and pings not in found:
            found.add(pings)
            said = " and ".join(sorted(str(group[0].document.get("status")) for group in answers.values()))
            yield evidence.violation(REPLAYED, f"one request was answered {said}, in different bytes", *pings)
    yield from _other_leads(evidence)


def _other_leads(evidence: Evidence) -> Iterator[Violation]:
    """Another lead for the same ping is refused, not answered as if it were the first."""
    for ping_id, asked_about in evidence.posts_told.items():
        kinds = {asked.body_is_other for asked in asked_about if asked.status == 200}
        if len(kinds) > 1:
            yield evidence.violation(REPLAYED, f"ping {ping_id}: two different leads were both answered", ping_id)


def _refusals(evidence: Evidence) -> Iterator[Violation]:
    """A post that came of a request which was answered 5xx, while no other request about its ping was under way.

    One that was never answered may be: it may lie at a gateway that is frozen.
    """
    posts = {post.ping_id: post for post in evidence.witnesses.books.posts}
    for ping_id, asked_about in evidence.posts_told.items():
        post = posts.get(ping_id)
        if post is None:
            continue
        near = [
            asked
            for asked in asked_about
            if asked.at - 0.005 <= post.at and (asked.status is None or post.at <= asked.until + 0.005)
        ]
        if near and all(asked.status is not None and asked.status >= 500 for asked in near):
            text = f"post {post.post_id}: told {near[0].status}, yet it was claimed and is {post.state}"
            yield evidence.violation(REFUSED, text, ping_id)


def _lead_of(evidence: Evidence, asked: Asked) -> str:
    if (ping_id := ping_of(asked)) is not None:
        return ping_id
    post = evidence.posts.get(str(asked.document.get("post_id")))
    return "" if post is None else post.ping_id
