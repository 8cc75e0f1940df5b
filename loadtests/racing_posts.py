"""Posts that race: every lead is offered by two sellers at once, and one of them posts twice at the same moment.

    python loadtests/racing_posts.py                     # 100,000 posts; --posts, --leads-at-once, --workers

Several gateways, six buyers with caps, budgets and people whom they have had, who refuse three of ten leads, so that
ladders cross. It fails if an answer is none that the contract allows, if a person is sold twice, if a ping is answered
in two ways, if Postgres had to end a deadlock, or if the books do not agree afterwards (`exchange doctor`).
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

import asyncpg
from bench_kit import Failed as KitFailed
from bench_kit import Farm, build
from exchange_process import Exchange, Failed, own_exchange
from sale_speed import BASE_PORT, Caller, buyer, market, order

BUYERS, REFUSED_PCT = 6, 30
SELLERS = ("acme", "other")
POSTS_A_LEAD = 3
ALLOWED = {("accepted", None), ("rejected", "duplicate"), ("rejected", "rejected_by_buyer"),
           ("rejected", "offer_withdrawn")}  # fmt: skip
STATE = "TX"

Document = dict[str, Any]


def crossing() -> Document:
    """All buyers want the same leads; each person is sold once in the campaign, and known to who has had it."""
    document = market([STATE] * BUYERS)
    terms = document["campaigns"]["auto-us"] | {"fallback": "break_even", "caps": {"day": 10_000_000}}
    document["campaigns"]["auto-us"] = terms
    for seller in SELLERS:
        document["sellers"][seller] = {"campaigns": ["auto-us"], "caps": {"day": 10_000_000}}
    document["buyers"], document["orders"] = {}, {}
    for number in range(BUYERS):
        document["buyers"][f"buyer-{number}"] = buyer(number) | {"duplicates": {"window_days": 30}}
        document["orders"][f"order-{number}"] = order(f"buyer-{number}")
    return document


async def race(url: str, keys: dict[str, str], leads: int, at_once: int) -> Counter[str]:
    """Sells so many leads; how each post was answered."""
    left, told = iter(range(leads)), Counter[str]()
    acme, other = keys["acme"], keys["other"]

    async def work() -> None:
        async with Caller(url, acme) as one, Caller(url, acme) as twin, Caller(url, other) as two:
            for number in left:
                ping = {"campaign": "auto-us", "lead": {"state": STATE}}
                first, second = await asyncio.gather(one.post("/v1/ping", ping), two.post("/v1/ping", ping))
                lead = {"first_name": "Ann", "email": f"person-{number}@example.com"}
                posts = ((one, first), (twin, first), (two, second))
                answers = await asyncio.gather(
                    *(
                        caller.post("/v1/post", {"ping_id": offer["ping_id"], "lead": lead}, (200, 409))
                        for caller, offer in posts
                    )
                )
                told.update(check(answers))

    await asyncio.gather(*(work() for _ in range(at_once)))
    return told


def check(answers: list[Document]) -> list[str]:
    """What the three posts of a lead were told. Raises Failed for what may not be."""
    words = [answer.get("code") or answer["status"] for answer in answers]
    posts = {answer["post_id"]: answer for answer in answers if "post_id" in answer}
    for answer in answers:
        if "post_id" not in answer:
            if answer["code"] != "in_progress":
                raise Failed(f"a post was answered {answer}")
        elif (answer["status"], answer.get("reason", {}).get("name")) not in ALLOWED:
            raise Failed(f"a post was answered {answer}")
        elif posts[answer["post_id"]] != answer:
            raise Failed(f"a ping was answered in two ways: {answer} and {posts[answer['post_id']]}")
    if len([post for post in posts.values() if post["status"] == "accepted"]) > 1:
        raise Failed(f"a person was sold twice: {answers}")
    return words


async def deadlocks(exchange: Exchange) -> int:
    connection = await asyncpg.connect(exchange.services.postgres_url)
    try:
        query = "select deadlocks from pg_stat_database where datname = current_database()"
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


def measure(options: argparse.Namespace) -> tuple[Counter[str], dict[str, int]]:
    """How posts were answered, and what buyers counted."""
    farm = Farm({0, 1}, base=BASE_PORT, count=BUYERS, reject_pct=REFUSED_PCT, max_seconds=7200)
    try:
        with own_exchange() as exchange:
            exchange.apply(crossing())
            keys = {seller: exchange.new_key(seller) for seller in SELLERS}
            with exchange.serving("--workers", str(options.workers)) as url:
                told = asyncio.run(race(url, keys, -(-options.posts // POSTS_A_LEAD), options.leads_at_once))
            exchange.run("doctor")
            if found := asyncio.run(deadlocks(exchange)):
                raise Failed(f"Postgres ended {found} deadlocks")
    finally:
        counts = farm.stop()
    return told, {"leads sent": counts["posts"], "of them refused": counts["rejects"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--leads-at-once", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2, help="gateways")
    options = parser.parse_args()
    build([])
    began_s = time.monotonic()
    try:
        told, sent = measure(options)
    except (Failed, KitFailed) as error:
        print(f"racing_posts: {error}", file=sys.stderr)
        return 1
    print(json.dumps(dict(told.most_common()) | sent, indent=2))
    print(f"{told.total()} posts in {time.monotonic() - began_s:.0f} s; nobody sold twice, no deadlock")
    return 0


if __name__ == "__main__":
    sys.exit(main())
