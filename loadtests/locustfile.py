"""A seller under load: pings, posts most offers, and asserts every answer; one wrong answer fails the whole run."""

import logging
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import uuid4

import orjson
from locust import FastHttpUser, between, events, task
from locust.env import Environment

from exchange.simulation.answers import Answer, read_ping_answer, read_post_answer
from exchange.simulation.leads import LEAD_MAKERS, FieldValue
from exchange.simulation.tally import ACCEPTED, OFFERED, Fault, PingTold, PostTold, TurnedAway
from exchange.values.money import format_amount

KEY = os.environ.get("EXCHANGE_KEY", "")
CAMPAIGN = os.environ.get("EXCHANGE_CAMPAIGN", "auto-us")
POSTED_SHARE = 0.9  # of the offers
REPEATED_SHARE = 0.1  # of the posts: sent again under the same key
LOOKED_AT_SHARE = 0.1  # of the sales: read back
MIN_PRICE_SHARE = 0.1  # of the pings
MIN_PRICES_MICROS = (6_000_000, 12_000_000)

PRICE = re.compile(r"[0-9]{1,12}\.[0-9]{2}", re.ASCII)

if not KEY:
    raise SystemExit("EXCHANGE_KEY is not set: make one with `exchange keys create --seller acme`")
if CAMPAIGN not in LEAD_MAKERS:
    raise SystemExit(f"EXCHANGE_CAMPAIGN is one of {', '.join(LEAD_MAKERS)}, not {CAMPAIGN}")


class Seller(FastHttpUser):
    """Sells one lead after another: people of the simulation, new ones in every run."""

    wait_time = between(0.05, 0.25)
    connection_timeout = 5.0
    network_timeout = 15.0  # longer than the campaigns of the example market give themselves

    def on_start(self) -> None:
        self.random = Random()

    @task
    def sell(self) -> None:
        """A ping, and the post of its offer."""
        lead = LEAD_MAKERS[CAMPAIGN](self.random, datetime.now(UTC).date())
        offer = self.ping(lead.ping)
        if offer is None or self.random.random() >= POSTED_SHARE:
            return
        key = uuid4().hex
        told, first = self.post(offer, lead.contact, key)
        if told is None:
            return
        if self.random.random() < REPEATED_SHARE:
            self.repeat(offer, lead.contact, key, first)
        if told.status == ACCEPTED and self.random.random() < LOOKED_AT_SHARE:
            self.look(told)

    def ping(self, lead: Mapping[str, FieldValue]) -> PingTold | None:
        """Offers a lead; the offer, where there is one."""
        body: dict[str, Any] = {"campaign": CAMPAIGN, "source": "locust", "lead": dict(lead)}
        least = self.random.choice(MIN_PRICES_MICROS) if self.random.random() < MIN_PRICE_SHARE else None
        if least is not None:
            body["min_price"] = format_amount(least)
        with self.send("POST", "/v1/ping", body) as response:
            told = read_ping_answer(answer_of(response, "/v1/ping"), CAMPAIGN, least)
            if not isinstance(told, PingTold):
                response.failure(wrong(told, response))
                return None
            if (what := wrong_offer(told, document_of(response))) is not None:
                response.failure(what)
                return None
            return told if told.status == OFFERED else None

    def post(self, offer: PingTold, contact: Mapping[str, FieldValue], key: str) -> tuple[PostTold | None, bytes]:
        """Posts the person behind an offer; what was told, and its bytes."""
        with self.send("POST", "/v1/post", {"ping_id": offer.ping_id, "lead": dict(contact)}, key) as response:
            told = read_post_answer(answer_of(response, "/v1/post", offer.ping_id))
            if not isinstance(told, PostTold):
                response.failure(wrong(told, response))
                return None, b""
            document = document_of(response)
            if told.status == ACCEPTED and told.price_micros != offer.price_micros:
                response.failure(f"sold at {document['price']}, offered at {format_amount(offer.price_micros or 0)}")
            elif told.status == ACCEPTED and not PRICE.fullmatch(document["price"]):
                response.failure(f"the price {document['price']} is not in whole cents")
            elif document.get("changed_fields") != []:
                response.failure("changed_fields is not empty")
            return told, response.content

    def repeat(self, offer: PingTold, contact: Mapping[str, FieldValue], key: str, first: bytes) -> None:
        """Sends a post again, as after a lost answer: the first answer must come, byte for byte."""
        body = {"ping_id": offer.ping_id, "lead": dict(contact)}
        with self.send("POST", "/v1/post", body, key, name="/v1/post (repeated)") as response:
            if (response.status_code, response.content) != (200, first):
                response.failure(f"the repeat was answered differently: HTTP {response.status_code}")

    def look(self, told: PostTold) -> None:
        """Reads a sale back."""
        with self.send("GET", f"/v1/posts/{told.post_id}", name="/v1/posts/{post_id}") as response:
            if response.status_code != 200:
                response.failure(f"HTTP {response.status_code}")
                return
            document = document_of(response)
            price = format_amount(told.price_micros or 0)
            if (document.get("status"), document.get("price")) != (ACCEPTED, price):
                response.failure(f"a sale at {price} reads {document.get('status')} at {document.get('price')}")

    def send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, key: str | None = None, *, name: str = ""
    ) -> Any:
        """A request whose answer is judged by hand."""
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key is not None:
            headers["Idempotency-Key"] = key
        data = None if body is None else orjson.dumps(body).decode()
        return self.client.request(method, path, data=data, headers=headers, name=name or path, catch_response=True)


def answer_of(response: Any, path: str, ping_id: str | None = None) -> Answer:
    """An answer as the simulated sellers read it; no answer at all has the status 0."""
    headers = response.headers or {}
    return Answer(
        seller="locust",
        path=path,
        http_status=response.status_code,
        media_type=headers.get("content-type") or "",
        retry_after=headers.get("retry-after"),
        body=response.content or b"",
        elapsed_ms=0.0,  # locust measures
        ping_id=ping_id,
    )


def document_of(response: Any) -> Any:
    return orjson.loads(response.content)


def wrong(told: TurnedAway | Fault, response: Any) -> str:
    """Why an answer is not one that this load may get."""
    if isinstance(told, TurnedAway):
        return f"turned away: {told.http_status} {told.code}"
    return told.what if response.status_code else f"no answer: {type(response.error).__name__}"


def wrong_offer(told: PingTold, document: Mapping[str, Any]) -> str | None:
    """What the shape alone does not show: whole cents, the least price, the time left, nothing dropped."""
    if document.get("ignored") != []:
        return "a field of the lead was dropped"
    if told.status != OFFERED:
        return None
    if not PRICE.fullmatch(document["price"]):
        return f"the price {document['price']} is not in whole cents"
    if told.min_price_micros is not None and (told.price_micros or 0) < told.min_price_micros:
        return f"offered {document['price']}, below the least price {format_amount(told.min_price_micros)}"
    if datetime.fromisoformat(document["expires_at"]) <= datetime.now(UTC):
        return "the offer had expired when it came"
    return None


def fail_without_posts(environment: Environment, **_: object) -> None:
    """A run that sold nothing has tested nothing."""
    if ("/v1/post", "POST") not in environment.stats.entries:
        logging.getLogger(__name__).error("no offer was posted: is the market there, and does the key hold?")
        environment.process_exit_code = 1


events.quitting.add_listener(fail_without_posts)  # type: ignore[no-untyped-call]  # locust's annotations are partial
