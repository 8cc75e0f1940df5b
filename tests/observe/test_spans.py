"""Spans of pings and posts as a collector receives them; one that is not there costs spans, and nothing else."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.buyer import Behaviour, Buyer, bids, reply, says, silent
from support.canary import CONTACT
from support.commands import Serving, shell_on
from support.market import LEAD, Document, market
from support.waiting import until

from exchange.embedded.lease import Services
from exchange.marketfile.reader import read
from exchange.ports import free_port
from exchange.storage import catalogue, keys
from exchange.storage.database import Database

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
TAKES: Behaviour = says(b"")


@dataclass(frozen=True)
class Told:
    """A span, with its attributes as plain values."""

    name: str
    trace: str
    parent: str
    own: str
    begin: int
    end: int
    found: dict[str, str | int | bool]


def told(span: Span) -> Told:
    found = {item.key: getattr(item.value, item.value.WhichOneof("value") or "") for item in span.attributes}
    ids = (span.trace_id.hex(), span.parent_span_id.hex(), span.span_id.hex())
    return Told(span.name, *ids, span.start_time_unix_nano, span.end_time_unix_nano, found)


def spans_of(collector: Buyer) -> list[Told]:
    """Everything that was sent to a collector."""
    found = []
    for received in collector.pings:
        assert (received.path, received.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
        for resource in ExportTraceServiceRequest.FromString(received.body).resource_spans:
            assert 'string_value: "lead-exchange"' in str(resource.resource)
            found += [told(span) for scope in resource.scope_spans for span in scope.spans]
    return found


@dataclass
class Trade:
    """A gateway that sends spans, and a seller who uses it."""

    serving: Serving
    client: httpx.AsyncClient
    buyers: dict[str, Buyer]

    async def sell(self, headers: dict[str, str] | None = None) -> None:
        """A ping and its post."""
        offer = await self.send("/v1/ping", {"campaign": "auto-us", "lead": LEAD}, headers)
        assert offer["status"] == "offered"
        sale = await self.send("/v1/post", {"ping_id": offer["ping_id"], "lead": CONTACT}, headers)
        assert sale["status"] == "accepted"

    async def send(self, path: str, document: Document, headers: dict[str, str] | None = None) -> Document:
        found: Document = (await self.client.post(path, json=document, headers=headers)).json()
        return found

    async def counted(self, name: str) -> float:
        """The sum of a metric's samples."""
        page = (await self.client.get("/metrics")).text
        return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name))


@asynccontextmanager
async def trading(services: Services, folder: Path, **settings: str) -> AsyncIterator[Trade]:
    database = await Database.connect(services.postgres_url, connections_max=3, timeout_s=10, name="test")
    key = await keys.create(database, role="seller", seller="acme")
    shell = shell_on(services, folder)
    shell.environment.update({f"EXCHANGE_{name.upper()}": value for name, value in settings.items()})
    once = iter([reply({"status": "rejected"})])
    async with (
        Buyer(bids("30.00"), lambda _: next(once, reply({"status": "accepted"}))) as high,
        Buyer(bids("29.90")) as low,
        shell.serving("--no-worker") as serving,
        httpx.AsyncClient(
            base_url=serving.url, timeout=60, trust_env=False, headers={"Authorization": f"Bearer {key}"}
        ) as client,
    ):
        buyers = {"high": high, "low": low}
        document = market({**buyers})
        await catalogue.apply(database, document, read(document), "test")

        async def is_ready() -> bool:
            return (await client.get("/readyz")).is_success

        await until(is_ready, bool)
        yield Trade(serving, client, buyers)
    await database.close()


async def test_a_collector_is_told_what_a_ping_and_a_post_did(services: Services, tmp_path: Path) -> None:
    async with (
        Buyer(TAKES) as collector,
        trading(services, tmp_path, otlp_endpoint=collector.url, trace_share="1") as trade,
    ):
        await trade.sell({"traceparent": f"00-{TRACE}-{CALLER}-00"})
        await trade.send("/v1/ping", {"campaign": "nowhere", "lead": LEAD})
        assert await trade.serving.stop() == 0  # what waits is sent before it ends
        for buyer in trade.buyers.values():
            assert not [name for sent in buyer.pings + buyer.posts for name in sent.headers if name.startswith("trace")]
    found = spans_of(collector)
    roots = {span.own: span for span in found if span.name in {"ping", "post"}}
    [ping, post, wrong] = sorted(roots.values(), key=lambda span: span.begin)
    assert [(span.trace, span.parent) for span in (ping, post)] == [(TRACE, CALLER)] * 2
    assert (wrong.trace == TRACE, wrong.parent, wrong.found) == (False, "", {"error.type": "unknown_campaign"})
    parts = [(roots[span.parent].name, span.name) for span in found if span.own not in roots]
    asked = ["ask", "auction", "buyer", "buyer", "commit"]
    delivered = ["attempt", "attempt", "claim", "conclude", "conclude"]
    assert sorted(parts) == [("ping", name) for name in asked] + [("post", name) for name in delivered]
    for span in found:
        assert span.begin <= span.end
        if span.own not in roots:
            assert roots[span.parent].begin <= span.begin
            assert span.trace == TRACE
    calls = {str(span.found["exchange.buyer"]): span.found["exchange.said"] for span in found if span.name == "buyer"}
    assert calls == {"high": "bid", "low": "bid"}
    attempts = [span.found for span in found if span.name == "attempt"]
    ends = [(attempt["exchange.buyer"], attempt["exchange.outcome"]) for attempt in attempts]
    assert ends == [("high", "rejected_by_buyer"), ("low", "accepted")]
    assert ping.found | {"exchange.status": "accepted"} == {
        name: value for name, value in post.found.items() if name != "exchange.post_id"
    } | {"exchange.test": False}


async def test_only_a_share_is_sent_whatever_the_seller_asks_for(services: Services, tmp_path: Path) -> None:
    async with (
        Buyer(TAKES) as collector,
        trading(services, tmp_path, otlp_endpoint=f"{collector.url}/v1/traces", trace_share="0") as trade,
    ):
        await trade.sell({"traceparent": f"00-{TRACE}-{CALLER}-01"})
        assert await trade.serving.stop() == 0
    assert spans_of(collector) == []


@pytest.mark.parametrize("kind", ["silent", "nobody", "angry"])
async def test_a_collector_that_is_not_there_only_loses_spans(services: Services, tmp_path: Path, kind: str) -> None:
    async with Buyer(silent if kind == "silent" else says({}, 500)) as collector:
        url = f"http://127.0.0.1:{free_port()}" if kind == "nobody" else collector.url
        async with trading(services, tmp_path, otlp_endpoint=url, trace_share="1", trace_spans_max="20") as trade:
            for _ in range(12):
                await trade.sell()

            async def gone() -> float:
                return await trade.counted('exchange_spans_total{outcome="lost"}')

            await until(gone, bool)
            for _ in range(12):
                await trade.sell()
            await asyncio.sleep(1.2)  # counts are shown once a second
            lost, dropped = await gone(), await trade.counted('exchange_spans_total{outcome="dropped"}')
            assert lost > 0
            assert dropped > 0 or kind != "silent"  # the others say no at once, so that nothing has to wait
            assert lost + dropped <= 24 * 12  # roots, and at most ten parts in both
            assert await trade.counted('exchange_limits_hit_total{limit="trace_spans_max"}') == dropped
            assert await trade.counted('exchange_spans_total{outcome="sent"}') == 0
            assert await trade.serving.stop() == 0
            assert trade.serving.reading is not None
            await trade.serving.reading
            assert trade.serving.log.count(b"spans_lost") == 1
            assert b"Traceback" not in trade.serving.log


def test_where_tracing_is_off_nothing_of_it_is_imported() -> None:
    code = (
        "import sys, exchange.gateway\n"
        "ours = {'exchange.traced', 'exchange.observe.spans'}\n"
        "assert 'exchange.ping' in sys.modules\n"
        "sys.exit(bool(ours & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_without_the_extra_it_says_what_is_missing(services: Services, tmp_path: Path) -> None:
    shell = shell_on(services, tmp_path)
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry.sdk'] = None\n")
    shell.environment.update({"EXCHANGE_OTLP_ENDPOINT": "http://127.0.0.1:4318", "PYTHONPATH": str(tmp_path)})
    done = await shell.run("serve", "--port", "0", "--no-worker")
    assert done.status == 1
    assert "EXCHANGE_OTLP_ENDPOINT needs lead-exchange[otel]" in done.err
