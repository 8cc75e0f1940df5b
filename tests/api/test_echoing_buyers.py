"""Buyers of every dialect who repeat whose lead it is, in every text that they can say: nobody ever reads it here."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote
from uuid import UUID
from xml.sax.saxutils import escape

import httpx
from support.buyer import Behaviour, Buyer, Received, bids, reply, says
from support.canary import CONTACT, sightings
from support.market import LEAD, Document, market
from support.privacy import Seller, everything_in_postgres, everything_in_valkey, gateway, in_force, listening
from support.waiting import until

from exchange.embedded.lease import Services
from exchange.marketfile.reader import read
from exchange.storage import catalogue, erasure, keys
from exchange.storage.database import Database

NUMBER, NAME, MAIL = "+13125550177", CONTACT["first_name"], CONTACT["email"].lower()
GOSSIP = f"duplicate phone {NUMBER} of {NAME}, {MAIL}"
ECHOES = (
    NUMBER,
    "(312) 555-0177",
    NAME,
    "zanzibella-7",
    MAIL,
    "zanzi.canary",
    base64.b64encode(MAIL.encode()).decode(),
)
PAGE = "https://buyer.example/thanks?lead=7"


@dataclass
class Said:
    """What a buyer says to a post; `word` is accepted, rejected, duplicate, error or anything else."""

    word: str
    reason: str = GOSSIP
    reference: str = NUMBER
    page: str = f"{PAGE}&who={quote(MAIL, safe='')}"


Speak = Callable[[str], bytes]
PRICE = "30.00"


@dataclass
class Voice:
    """One dialect: how its buyer bids, says no and an error to a ping, and answers to a post."""

    name: str
    endpoint: Document
    bid: bytes
    refusals: tuple[bytes, ...]
    answer: Callable[[Said], bytes]
    said: Said = field(default_factory=lambda: Said("accepted"))

    def on_post(self, _: Received) -> bytes:
        return self.answer(self.said)


def text_reply(text: str, status: int = 200) -> bytes:
    return reply(text.encode(), status)


def conditions(key: Callable[[str], str], **more: Document | str) -> Document:
    """Rules that find each text under a name."""
    words = {"error": "error", "duplicate": "duplicate", "reject": "rejected", "success": "accepted"}
    return {name: {"at": key("word"), "is": word} for name, word in words.items()} | {"reason": key("why"), **more}


def mapped(body: str, kind: str, key: Callable[[str], str]) -> Document:
    said_to_ping = conditions(key, format=kind, price=key("price"), bid_id=key("token"))
    said_to_post = conditions(key, format=kind, reference=key("number"), redirect_url=key("page"))
    root = {"root": "A"} if body == "xml" else {}
    fields = {"f": {"field": "first_name"}, "p": "phone", "e": "email"}
    ping: Document = {"body": body, "fields": {"z": "zip", "t": {"value": "test"}}, "reply": said_to_ping} | root
    post: Document = {"body": body, "fields": fields | {"t": {"value": "test"}}, "reply": said_to_post} | root
    return {"dialect": "mapped", "mapping": {"ping": ping, "post": post}}


PATTERNS = {
    "dialect": "mapped",
    "mapping": {
        "ping": {
            "body": "form",
            "fields": {"t": {"value": "test"}},
            "reply": {
                "format": "text",
                "error": {"matches": "^error"},
                "reject": {"matches": "^rejected"},
                "success": {"matches": "^accepted"},
                "price": {"matches": "price=([0-9.]+)"},
                "reason": {"matches": "why=(.*)"},
            },
        },
        "post": {
            "body": "form",
            "fields": {"t": {"value": "test"}, "p": "phone"},
            "reply": {
                "format": "text",
                "error": {"matches": "^error"},
                "duplicate": {"matches": "^duplicate"},
                "reject": {"matches": "^rejected"},
                "success": {"matches": "^accepted"},
                "reason": {"matches": "why=(.*)"},
                "reference": {"matches": "number=(.*)"},
                "redirect_url": {"matches": "page=(.*)"},
            },
        },
    },
}


def as_json(said: Said) -> bytes:
    return reply({"word": said.word, "why": said.reason, "number": said.reference, "page": said.page})


def as_xml(said: Said) -> bytes:
    parts = {"why": said.reason, "number": said.reference, "page": said.page}
    inner = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in parts.items())
    return text_reply(f"<A><word>{said.word}</word>{inner}</A>")


def as_text(said: Said) -> bytes:
    return text_reply(f"{said.word}\nwhy={said.reason}\nnumber={said.reference}\npage={said.page}\n")


def as_native(said: Said) -> bytes:
    texts = {"reason": said.reason, said.reason: said.reason, "reference": said.reference, "redirect_url": said.page}
    return reply({"status": said.word} | texts)


def as_boberdoo(said: Said) -> bytes:
    word = {"accepted": "Matched", "error": "Error"}.get(said.word, "Unmatched")
    texts = f"<lead_id>{escape(said.reference)}</lead_id><redirect_url>{escape(said.page)}</redirect_url>"
    return text_reply(f"<response><status>{word}</status><error>{escape(said.reason)}</error>{texts}</response>")


def as_px(said: Said) -> bytes:
    texts = {"Message": said.reason, "TransactionId": said.reference, "RedirectUrl": said.page}
    return reply({"Success": said.word == "accepted"} | texts)


def voices() -> Iterator[Voice]:
    xml = f"<word>rejected</word><why>{GOSSIP}</why>"
    yield Voice(
        "native",
        {},
        reply({"bid": PRICE, "bid_id": "b-1", "reason": GOSSIP}),
        (reply({"bid": 0, "reason": GOSSIP}), reply({GOSSIP: 1, "bid": GOSSIP}), text_reply(GOSSIP, 500)),
        as_native,
    )
    yield Voice(
        "json",
        mapped("json", "json", str),
        reply({"word": "accepted", "price": PRICE, "token": "b-2", "why": GOSSIP}),
        (reply({"word": "rejected", "why": GOSSIP}), reply({"word": "error", "why": GOSSIP}), text_reply(GOSSIP)),
        as_json,
    )
    yield Voice(
        "xml",
        mapped("xml", "xml", lambda name: f"//{name}"),
        text_reply(f"<A><word>accepted</word><price>{PRICE}</price><token>b-3</token></A>"),
        (
            text_reply(f"<A>{xml}</A>"),
            text_reply(f"<A>{xml.replace('rejected', 'error')}</A>"),
            text_reply(f"<A>{GOSSIP}"),
        ),
        as_xml,
    )
    yield Voice(
        "text",
        PATTERNS,
        text_reply(f"accepted price={PRICE}"),
        (text_reply(f"rejected why={GOSSIP}"), text_reply(f"error why={GOSSIP}")),
        as_text,
    )
    yield Voice(
        "boberdoo",
        {"dialect": "boberdoo"},
        text_reply(f"<response><status>Matched</status><lead_id>b-4</lead_id><price>{PRICE}</price></response>"),
        (text_reply(f"<response><status>Unmatched</status><error>{GOSSIP}</error></response>"),),
        as_boberdoo,
    )
    yield Voice(
        "px",
        {"dialect": "px"},
        reply({"Success": True, "Payout": 30, "TransactionId": "b-5", "Message": GOSSIP}),
        (reply({"Success": False, "Message": GOSSIP}),),
        as_px,
    )


def next_of(answers: tuple[bytes, ...]) -> Behaviour:
    """Says one after another, again and again."""
    count = iter(range(1_000_000))
    return lambda _: answers[next(count) % len(answers)]


async def sell_to(seller: Seller, voice: Voice, age: int) -> list[UUID]:
    """Every answer to a post, with contact data in each text of it; and one sale with texts that may be kept."""
    clean = Said("accepted", "Thank you", "crm-7", PAGE)
    echoing = [Said("accepted", reference=text, page=f"{PAGE}&who={quote(text, safe='')}") for text in ECHOES]
    others = [Said(word) for word in ("rejected", "duplicate", "error", "soon")]
    posts = []
    for said in (clean, *echoing, *others):
        voice.said = said
        ping_id = await seller.offer(LEAD | {"age": age})
        post = await seller.send("/v1/post", {"ping_id": ping_id, "lead": CONTACT}, key=ping_id)
        if said.word == "accepted":
            assert (post["status"], post["redirect_url"]) == ("accepted", PAGE if said is clean else None)
        await seller.look(f"/v1/posts/{post['post_id']}")
        posts.append(UUID(post["post_id"]))
    return posts


def market_of(speakers: dict[str, tuple[Voice, Buyer]], others: dict[str, tuple[Voice, Buyer]]) -> Document:
    """An order of each age for each voice, and everywhere those who refuse."""
    both = speakers | others
    document = market({name: buyer for name, (_, buyer) in both.items()}, fallback="none")
    for name, (voice, _) in both.items():
        document["buyers"][name]["endpoint"] |= voice.endpoint
    for number, name in enumerate(speakers):
        document["orders"][name]["filter"] = {"age": {"min": 20 + number, "max": 20 + number}}
    return document


async def test_a_buyer_who_repeats_whose_lead_it_is_tells_nobody(services: Services, tmp_path: Path) -> None:
    database = await Database.connect(services.postgres_url, connections_max=3, timeout_s=10, name="test")
    key = await keys.create(database, role="seller", seller="acme")
    speakers = {voice.name: (voice, Buyer(lambda _, voice=voice: voice.bid, voice.on_post)) for voice in voices()}  # type: ignore[misc]
    others = {f"{voice.name}-no": (voice, Buyer(next_of(voice.refusals))) for voice in voices()}
    buyers = [buyer for _, buyer in (*speakers.values(), *others.values())]
    async with Buyer(says(b"")) as collector, listening(services.valkey_url) as heard, Buyer(bids("6.00")) as loser:
        for buyer in buyers:
            await buyer.__aenter__()
        document = market_of(speakers, others | {"loser": (next(voices()), loser)})
        async with (
            gateway(services, tmp_path, collector, "json") as serving,
            httpx.AsyncClient(base_url=serving.url, timeout=60, trust_env=False) as client,
        ):
            await catalogue.apply(database, document, read(document), "test")
            await until(lambda: in_force(client), bool)
            seller = Seller(client, key)
            posts = [
                post
                for number, (voice, _) in enumerate(speakers.values())
                for post in await sell_to(seller, voice, 20 + number)
            ]
            places: list[tuple[str, bytes | str]] = [("/metrics", (await client.get("/metrics")).content)]
            places += await everything_in_valkey(services.valkey_url)
            places += await everything_in_postgres(database)
            assert await serving.stop() == 0
            assert serving.reading is not None
            await serving.reading
        for buyer in buyers:
            await buyer.__aexit__()
    places += [("the live feed", message) for message in heard] + [("the log", serving.log)]
    places += [("a span", received.body) for received in collector.pings]
    places += [("a request to the loser", received.body) for received in loser.pings + loser.posts]
    assert sightings([("what a buyer said", json.dumps(GOSSIP))]), "the canary cannot be seen where it must be"
    assert sightings(places) == []

    rows = await everything_in_postgres(database)
    kept = [text for where, text in rows if where == "column reference of attempts" and text != "None"]
    assert kept == ["crm-7"] * len(speakers)
    assert ("column detail of attempts", "duplicate phone …") in {(where, str(text)[:17]) for where, text in rows}
    assert sum("duplicate phone" in str(text) for where, text in rows if where == "column trace of pings") > 0
    for post in posts:
        assert await erasure.erase(database, post) is not None
    rows = await everything_in_postgres(database)
    assert sightings(rows) == []
    for text in ("crm-7", PAGE, "duplicate"):
        assert not [where for where, said in rows if where.endswith("of attempts") and text in str(said)]
    assert not [where for where, said in rows if PAGE in str(said) and where.endswith("of posts")]
    assert not [where for where, said in rows if '"b-' in str(said) and where.endswith("of pings")]
    open_names = await database.run(
        lambda connection: connection.fetch("select state from attempts where bid_id <> ''")
    )
    assert {row["state"] for row in open_names} == {"unknown"}  # by these they are still asked about
    await database.close()
