"""A seller under load: pings, posts most offers, and asserts every answer; one wrong answer fails the whole run."""

import logging
import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any, ClassVar
from uuid import uuid4

import gevent
import orjson
from judging import judge_ping, judge_post
from locust import FastHttpUser, LoadTestShape, between, events, task
from locust.env import Environment
from samples import Check, table
from scenarios import SCENARIOS, Limits, Scenario, level_at

from exchange.simulation.answers import Answer
from exchange.simulation.leads import LEAD_MAKERS, FieldValue
from exchange.simulation.tally import ACCEPTED, OFFERED, PingTold, PostTold, TurnedAway
from exchange.values.money import format_amount

KEY = os.environ.get("EXCHANGE_KEY", "")
FLOOD_KEY = os.environ.get("EXCHANGE_FLOOD_KEY", "")
CAMPAIGN = os.environ.get("EXCHANGE_CAMPAIGN", "auto-us")
SCENARIO = os.environ.get("EXCHANGE_SCENARIO", "")
USERS = int(os.environ.get("EXCHANGE_USERS", "20"))
FLOODERS = 2  # users of the flooding seller for each calm one
POSTED_SHARE = 0.9  # of the offers
REPEATED_SHARE = 0.1  # of the posts: sent again under the same key
LOOKED_AT_SHARE = 0.1  # of the sales: read back
MIN_PRICE_SHARE = 0.1  # of the pings
MIN_PRICES_MICROS = (6_000_000, 12_000_000)
SHED_PAUSE_S = 1.0  # what a calm seller waits who was turned away


def chosen_scenario() -> Scenario | None:
    """The scenario of the environment, with its time and limits, or None: then locust's own options say how many."""
    if not SCENARIO:
        return None
    if SCENARIO not in SCENARIOS:
        raise SystemExit(f"EXCHANGE_SCENARIO is one of {', '.join(SCENARIOS)}, not {SCENARIO}")
    found = SCENARIOS[SCENARIO]
    if seconds := os.environ.get("EXCHANGE_SECONDS"):
        found = found.lasting(float(seconds))
    names = {"ping_p99_ms": "EXCHANGE_PING_P99_MS", "post_p99_ms": "EXCHANGE_POST_P99_MS"}
    names |= {"shed_share_max": "EXCHANGE_SHED_SHARE_MAX"}
    given = {name: float(os.environ[variable]) for name, variable in names.items() if variable in os.environ}
    if found.flood and not FLOOD_KEY:
        raise SystemExit("EXCHANGE_FLOOD_KEY is not set: a flood needs the key of a second seller")
    return replace(found, limits=replace(found.limits, **given))


if not KEY:
    raise SystemExit("EXCHANGE_KEY is not set: make one with `exchange keys create --seller acme`")
if CAMPAIGN not in LEAD_MAKERS:
    raise SystemExit(f"EXCHANGE_CAMPAIGN is one of {', '.join(LEAD_MAKERS)}, not {CAMPAIGN}")
CHOSEN = chosen_scenario()


class Seller(FastHttpUser):
    """Sells one lead after another: people of the simulation, new ones in every run."""

    wait_time = between(0.05, 0.25)
    key = KEY
    prefix = ""
    """Tells the requests of one kind of seller from those of another in the figures."""
    shed: ClassVar[Counter[str]] = Counter()
    """How many requests were turned away, by kind of seller."""
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
            told = judge_ping(answer_of(response, "/v1/ping"), CAMPAIGN, least)
            if not isinstance(told, PingTold):
                self.refuse(told, response)
                return None
            return told if told.status == OFFERED else None

    def post(self, offer: PingTold, contact: Mapping[str, FieldValue], key: str) -> tuple[PostTold | None, bytes]:
        """Posts the person behind an offer; what was told, and its bytes."""
        with self.send("POST", "/v1/post", {"ping_id": offer.ping_id, "lead": dict(contact)}, key) as response:
            told = judge_post(answer_of(response, "/v1/post", offer.ping_id), offer)
            if not isinstance(told, PostTold):
                self.refuse(told, response)
                return None, b""
            return told, response.content

    def refuse(self, told: TurnedAway | str, response: Any) -> None:
        """Fails an answer, unless it is a refusal for want of capacity, in a scenario: those are counted."""
        if isinstance(told, TurnedAway) and CHOSEN is not None:
            self.shed[self.prefix] += 1
            response.success()
            self.turned_away()
        elif isinstance(told, TurnedAway):
            response.failure(f"turned away: {told.http_status} {told.code}")
        else:
            response.failure(told if response.status_code else f"no answer: {type(response.error).__name__}")

    def turned_away(self) -> None:
        gevent.sleep(SHED_PAUSE_S)

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
        headers = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
        }
        if key is not None:
            headers["Idempotency-Key"] = key
        data = None if body is None else orjson.dumps(body).decode()
        return self.client.request(
            method, path, data=data, headers=headers, name=self.prefix + (name or path), catch_response=True
        )


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


if CHOSEN is not None:
    scenario: Scenario = CHOSEN

    class Shape(LoadTestShape):
        """As many users as the scenario has at the moment."""

        def tick(self) -> tuple[int, float] | None:
            at_s: float = self.get_run_time()  # type: ignore[no-untyped-call]
            if at_s >= scenario.seconds:
                return None
            flooders = USERS * FLOODERS if scenario.flood else 0
            return max(1, round(USERS * level_at(scenario.stages, at_s))) + flooders, 1_000.0

    if scenario.flood:

        class Flood(Seller):
            """A seller who pings without a pause, and heeds no refusal, while the scenario has him flood."""

            wait_time = between(0, 0)
            fixed_count = USERS * FLOODERS
            key = FLOOD_KEY
            prefix = "flood "

            @task
            def sell(self) -> None:
                shape = self.environment.shape_class
                if level_at(scenario.flood, shape.get_run_time()) > 0:
                    super().sell()
                else:
                    gevent.sleep(0.2)

            def turned_away(self) -> None:
                """Goes on at once."""


def scenario_checks(environment: Environment, limits: Limits) -> list[Check]:
    """What a scenario asks of the calm seller."""
    stats = environment.stats
    calm = [entry for (name, _), entry in stats.entries.items() if not name.startswith("flood ")]
    count, shed = sum(entry.num_requests for entry in calm), Seller.shed[""]
    share, wrong = shed / count if count else 0.0, stats.total.num_failures
    most = f"at most {limits.shed_share_max:.1%}"
    found = [
        Check("wrong answers", "0", str(wrong), wrong == 0),
        Check("turned away", most, f"{share:.1%}", share <= limits.shed_share_max),
    ]
    for path, limit_ms in (("/v1/ping", limits.ping_p99_ms), ("/v1/post", limits.post_p99_ms)):
        p99_ms = stats.get(path, "POST").get_response_time_percentile(0.99) or 0
        found.append(Check(f"{path} p99", f"at most {limit_ms:,.0f} ms", f"{p99_ms:,.0f} ms", p99_ms <= limit_ms))
    return found


def judge(environment: Environment, **_: object) -> None:
    """A run that sold nothing has tested nothing; a scenario has limits of its own besides."""
    sold = ("/v1/post", "POST") in environment.stats.entries
    if not sold:
        logging.getLogger(__name__).error("no offer was posted: is the market there, and does the key hold?")
        environment.process_exit_code = 1
    if CHOSEN is not None:
        found = scenario_checks(environment, CHOSEN.limits)
        print(f"{CHOSEN.name}: {CHOSEN.about}", table(found), sep="\n", file=sys.stderr)
        environment.process_exit_code = 0 if sold and all(check.held for check in found) else 1


events.quitting.add_listener(judge)  # type: ignore[no-untyped-call]  # locust's annotations are partial
