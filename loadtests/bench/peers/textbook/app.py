"""A bare ping gateway as a Python tutorial would write it: FastAPI, pydantic, one shared httpx.AsyncClient, gather.

    MARKET=../../market.json uvicorn app:app --port 8000 --no-access-log

POST /v1/ping in, filters, native pings to all eligible orders at once, highest bid, offer out.
No keys are checked, nothing is recorded, nothing is counted.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from uuid import uuid4

import httpx
from fastapi import FastAPI, Header, HTTPException
from pydantic import BaseModel, Field, ValidationError


class Lead(BaseModel):
    zip: str = Field(pattern=r"^\d{5}$")
    state: str = Field(min_length=2, max_length=2)
    age: int = Field(ge=16, le=110)
    credit: Literal["poor", "fair", "good", "excellent"]
    gender: str | None = None
    marital_status: str | None = None
    residence: str | None = None
    education: str | None = None
    occupation: str | None = Field(default=None, max_length=60)
    vehicle_year: int | None = Field(default=None, ge=1980, le=2030)
    vehicle_make: str | None = Field(default=None, max_length=40)
    vehicle_model: str | None = Field(default=None, max_length=40)
    vehicle_use: str | None = None
    annual_miles: int | None = None
    insurer: str | None = Field(default=None, max_length=60)
    insured_months: int | None = None
    coverage: str | None = None
    accidents: int | None = None
    violations: int | None = None
    landing_page: str | None = Field(default=None, max_length=200)


class Ping(BaseModel):
    campaign: str
    source: str | None = None
    ref: str | None = None
    min_price: Decimal = Decimal(0)
    timeout_ms: int | None = None
    test: bool = False
    lead: Lead


class BuyerPing(BaseModel):
    ping_id: str
    campaign: str
    vertical: str
    test: bool
    currency: str
    floor: str
    sale: str
    lead: Lead


class Bid(BaseModel):
    bid: Decimal | None = None
    bid_id: str | None = None


class Reason(BaseModel):
    code: int
    name: str
    text: str


class Answer(BaseModel):
    ping_id: str
    status: Literal["offered", "unsold"]
    price: str | None = None
    currency: str | None = None
    sale: str | None = None
    shares: int | None = None
    expires_in: int | None = None
    expires_at: datetime | None = None
    reason: Reason | None = None


class Order(BaseModel):
    order: str
    url: str
    states: set[str]
    age: tuple[int, int]
    credit: set[str]


class Market(BaseModel):
    campaign: str
    vertical: str
    currency: str
    floor: str
    margin_percent: int
    ping_timeout_ms: int
    offer_ttl_s: int
    orders: list[Order]


MARKET = Market.model_validate_json(Path(os.environ["MARKET"]).read_bytes())


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    auth = {"authorization": f"Bearer {os.environ.get('BENCH_BUYER_TOKEN', '')}"}
    limits = httpx.Limits(max_connections=4000, max_keepalive_connections=4000, keepalive_expiry=60)
    async with httpx.AsyncClient(limits=limits, headers=auth, trust_env=False) as client:
        app.state.client = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/ping", response_model_exclude_none=True)
async def ping(ping: Ping, authorization: Annotated[str, Header()]) -> Answer:  # noqa: ARG001  # read, as a peer does, and checked against nothing
    if ping.campaign != MARKET.campaign:
        raise HTTPException(404, "unknown_campaign")
    ping_id = uuid7()
    orders = [order for order in MARKET.orders if accepts(order, ping.lead)]
    if not orders:
        return unsold(ping_id, 406, "no_eligible_orders", "No order wants this lead.")
    bids = await ask_all(ping_id, ping, orders)
    best = max((bid for bid in bids if bid is not None and bid >= Decimal(MARKET.floor)), default=None)
    if best is None:
        return unsold(ping_id, 407, "no_bids", "No buyer made a bid.")
    price = best * (100 - MARKET.margin_percent) / 100
    if price < ping.min_price:
        return unsold(ping_id, 408, "below_min_price", "The best bid pays too little.")
    expires_at = datetime.now(UTC) + timedelta(seconds=MARKET.offer_ttl_s)
    return Answer(
        ping_id=ping_id, status="offered", price=f"{price:.2f}", currency=MARKET.currency, sale="exclusive",
        shares=1, expires_in=MARKET.offer_ttl_s, expires_at=expires_at,
    )  # fmt: skip


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    return {}


def accepts(order: Order, lead: Lead) -> bool:
    return lead.state in order.states and order.age[0] <= lead.age <= order.age[1] and lead.credit in order.credit


async def ask_all(ping_id: str, ping: Ping, orders: list[Order]) -> list[Decimal | None]:
    timeout_ms = min(ping.timeout_ms or MARKET.ping_timeout_ms, MARKET.ping_timeout_ms)
    request = BuyerPing(
        ping_id=ping_id, campaign=MARKET.campaign, vertical=MARKET.vertical, test=ping.test, currency=MARKET.currency,
        floor=MARKET.floor, sale="exclusive", lead=ping.lead,
    )  # fmt: skip
    return await asyncio.gather(*(ask(order, request, timeout_ms) for order in orders))


async def ask(order: Order, request: BuyerPing, timeout_ms: int) -> Decimal | None:
    headers = {"exchange-order": order.order, "exchange-timeout-ms": str(timeout_ms)}
    sending = app.state.client.post(order.url, json=request.model_dump(), headers=headers)
    try:
        answer = await asyncio.wait_for(sending, timeout_ms / 1000)
        return Bid.model_validate_json(answer.content).bid if answer.status_code == 200 else None
    except (TimeoutError, httpx.HTTPError, ValidationError):
        return None


def unsold(ping_id: str, code: int, name: str, text: str) -> Answer:
    return Answer(ping_id=ping_id, status="unsold", reason=Reason(code=code, name=name, text=text))


def uuid7() -> str:
    now = f"{time.time_ns() // 1_000_000:012x}"
    return f"{now[:8]}-{now[8:]}-7{str(uuid4())[15:]}"
