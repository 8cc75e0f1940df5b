"""Sellers of a run: seeded leads, sent to any gateway, again and at once, with keys and without, all written down."""

import asyncio
import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import httpx
import orjson

from exchange.simulation.chaos.diary import Asked, Diary
from exchange.simulation.places import PLACES
from exchange.values.ids import uuid7

PING_PATH, POST_PATH, LEADS_PATH = "/v1/ping", "/v1/post", "/v1/leads"
TIMEOUT_S = 8.0
PAUSE_S = 0.25
PING_TRIES = 4
_AREAS = tuple(dict.fromkeys(code for place in PLACES for code in place.area_codes))
_ZIPS = ("60601", "10001", "94103", "30303", "77002")


@dataclass(frozen=True, slots=True)
class Person:
    """Whom a lead is about: canary values, each of which belongs to nobody else in the run."""

    first_name: str
    phone: str
    email: str


@dataclass(frozen=True, slots=True)
class Errand:
    """Everything about one lead that is decided before it is sent.

    `copies` of the post leave at once, to different gateways; what is not answered is sent again up to `tries`
    times. `twin` sends the same person at the same time, as another seller.
    """

    seller: str
    campaign: str
    person: Person
    zip_code: str
    age: int
    is_whole: bool
    has_key: bool
    has_hashes: bool
    test: bool
    posted: bool
    copies: int
    tries: int
    changed: bool
    other_body: bool
    hesitation_s: float
    gap_s: float
    twin: str | None


@dataclass(frozen=True, slots=True)
class Posted:
    """A request that was made, as it can be made again."""

    errand: Errand
    seller: str
    path: str
    body: dict[str, Any]
    key: str | None
    ping_id: str | None


def plan_errands(random: Random, sellers: Sequence[str], campaigns: Sequence[str], per_s: float) -> Iterator[Errand]:
    """Errands without end."""
    known: list[Person] = []
    number = 0
    while True:
        seller = random.choice(sellers)
        if known and random.random() < 0.08:
            person = random.choice(known[-200:])
        else:
            number += 1
            person = _person(random, number)
            known.append(person)
        others = [name for name in sellers if name != seller]
        is_whole = random.random() < 0.2
        yield Errand(
            seller=seller,
            campaign=random.choice(campaigns),
            person=person,
            zip_code=random.choice(_ZIPS),
            age=random.randint(18, 88),
            is_whole=is_whole,
            has_key=random.random() < (0.8 if is_whole else 0.5),
            has_hashes=random.random() < 0.3,
            test=random.random() < 0.03,
            posted=random.random() < 0.92,
            copies=random.choices((1, 2, 3), (70, 20, 10))[0],
            tries=random.choices((1, 4, 12), (25, 35, 40))[0],
            changed=random.random() < 0.05,
            other_body=random.random() < 0.05,
            hesitation_s=random.uniform(0.0, 0.4),
            gap_s=random.expovariate(per_s),
            twin=random.choice(others) if others and random.random() < 0.06 else None,
        )


def _person(random: Random, number: int) -> Person:
    """Numbers 555-0100 to 555-0199 are kept for fiction, too few for a run: area codes make the difference."""
    area, line = _AREAS[number // 100 % len(_AREAS)], number % 100
    email = f"canary-{number}-{random.getrandbits(32):08x}@example.com"
    return Person(f"Canary{number}", f"+1{area}55501{line:02d}", email)


class Sellers:
    """Sends errands to the gateways and keeps the diary. `posted` is what can be asked about in the end."""

    def __init__(self, gateways: Sequence[str], keys: dict[str, str], diary: Diary, seed: int) -> None:
        self.posted: list[Posted] = []
        self.sent = 0
        self._gateways = tuple(gateways)
        self._keys = keys
        self._diary = diary
        self._random = Random(seed)
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, limits=httpx.Limits(max_connections=200))

    async def close(self) -> None:
        await self._http.aclose()

    async def run(self, errands: Iterator[Errand], seconds: float, in_flight_max: int = 60) -> None:
        """Sends errands for so long, then waits for what is under way."""
        ends_s = time.monotonic() + seconds
        room = asyncio.Semaphore(in_flight_max)
        async with asyncio.TaskGroup() as group:
            for errand in errands:
                await asyncio.sleep(errand.gap_s)
                if time.monotonic() > ends_s:
                    return
                sellers = [errand.seller] if errand.twin is None else [errand.seller, errand.twin]
                for seller in sellers:
                    await room.acquire()
                    group.create_task(self._run_errand(replace(errand, seller=seller), room))

    async def replay(self, item: Posted) -> Asked:
        """Sends a post once more, as the seller who wants to know."""
        return await self._ask(item.seller, item.path, item.body, item.errand, item.key, item.ping_id)

    async def look(self, seller: str, post_id: str, errand: Errand) -> Asked:
        """Asks for the present state of a post."""
        return await self._ask(seller, f"/v1/posts/{post_id}", None, errand, None, None)

    async def _run_errand(self, errand: Errand, room: asyncio.Semaphore) -> None:
        self.sent += 1
        try:
            if errand.is_whole:
                await self._send_whole(errand)
            else:
                await self._send_in_two(errand)
        finally:
            room.release()

    async def _send_whole(self, errand: Errand) -> None:
        lead = _ping_fields(errand) | _contact(errand.person)
        body = {"campaign": errand.campaign, "lead": lead, "test": errand.test}
        key = f"lead-{uuid7()}" if errand.has_key else None
        item = Posted(errand, errand.seller, LEADS_PATH, body, key, None)
        if key is None:
            await self.replay(item)  # not to be repeated: it would be another lead
        else:
            await self._send_until_clear(item)

    async def _send_in_two(self, errand: Errand) -> None:
        ping_id = await self._offer(errand)
        if ping_id is None or not errand.posted:
            return
        await asyncio.sleep(errand.hesitation_s)
        lead = _contact(errand.person) | ({"age": errand.age + 1} if errand.changed else {})
        key = f"post-{uuid7()}" if errand.has_key else None
        item = Posted(errand, errand.seller, POST_PATH, {"ping_id": ping_id, "lead": lead}, key, ping_id)
        await self._send_until_clear(item)
        if errand.other_body:
            other = {"ping_id": ping_id, "lead": lead | {"first_name": "Somebody Else"}}
            await self._ask(item.seller, POST_PATH, other, errand, key, ping_id, body_is_other=True)

    async def _offer(self, errand: Errand) -> str | None:
        """Pings until there is an answer; the ping's id where it was offered."""
        body: dict[str, Any] = {"campaign": errand.campaign, "lead": _ping_fields(errand), "test": errand.test}
        if errand.has_hashes:
            body["identity_hashes"] = {"phone": hashlib.sha256(errand.person.phone.encode()).hexdigest()}
        for _ in range(PING_TRIES):
            asked = await self._ask(errand.seller, PING_PATH, body, errand, None, None)
            if asked.status == 200:
                found = asked.document
                return str(found["ping_id"]) if found.get("status") == "offered" else None
            await asyncio.sleep(PAUSE_S)
        return None

    async def _send_until_clear(self, item: Posted) -> None:
        """Sends all copies at once, then again what was not answered, as often as this seller does."""
        self.posted.append(item)
        copies = await asyncio.gather(*(self.replay(item) for _ in range(item.errand.copies)))
        is_clear = any(asked.status == 200 for asked in copies)
        for _ in range(item.errand.tries - 1):
            if is_clear:
                return
            await asyncio.sleep(PAUSE_S * (1 + self._random.random()))
            is_clear = (await self.replay(item)).status in {200, 404, 410, 422}

    async def _ask(
        self,
        seller: str,
        path: str,
        body: dict[str, Any] | None,
        errand: Errand,
        key: str | None,
        ping_id: str | None,
        *,
        body_is_other: bool = False,
    ) -> Asked:
        gateway = self._random.choice(self._gateways)
        headers = {"Authorization": f"Bearer {self._keys[seller]}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = None if body is None else orjson.dumps(body)
        at, status, answer, trouble = time.time(), None, None, ""
        try:
            method = "GET" if body is None else "POST"
            response = await self._http.request(method, gateway + path, content=content, headers=headers)
            status, answer = response.status_code, response.text
        except (httpx.HTTPError, AttributeError) as error:  # anyio's words for a connection that was reset at once
            trouble = type(error).__name__
        person = errand.person
        asked = Asked(
            at, time.time(), seller, gateway, path, errand.campaign, person.phone, person.email, errand.test,
            ping_id, key, body_is_other, status, answer, trouble,
        )  # fmt: skip
        self._diary.write(asked)
        return asked


async def final_reads(sellers: Sellers, at_once: int = 12) -> None:
    """Every post is sent once more, and every one that has an id is looked at: the last words of this witness."""
    room = asyncio.Semaphore(at_once)

    async def read(item: Posted) -> None:
        async with room:
            asked = await sellers.replay(item)
            post_id = asked.document.get("post_id") if asked.status == 200 else None
            if post_id is not None:
                await sellers.look(item.seller, str(post_id), item.errand)

    await asyncio.gather(*(read(item) for item in sellers.posted))


def _ping_fields(errand: Errand) -> dict[str, Any]:
    return {"zip": errand.zip_code, "age": errand.age}


def _contact(person: Person) -> dict[str, Any]:
    return {"first_name": person.first_name, "phone": person.phone, "email": person.email}
