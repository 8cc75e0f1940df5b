"""Doors for probes and scrapers: alive, ready, metrics."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response

from exchange.api.body import JSON_TYPE
from exchange.errors import Problem
from exchange.observe.metrics import REGISTRY
from exchange.observe.readers import Readers
from exchange.observe.registry import CONTENT_TYPE

Readiness = Callable[[], Awaitable[str | None]]
"""Says why the gateway is not ready, or None."""


class HealthDoor:
    """`/livez`, `/readyz` and `/metrics`."""

    def __init__(self, readiness: Readiness, metrics_token: str | None) -> None:
        self._readiness = readiness
        self._readers = Readers(metrics_token)

    async def livez(self, _: Request) -> Response:
        """The process answers."""
        return Response(b'{"status":"alive"}', media_type=JSON_TYPE)

    async def readyz(self, _: Request) -> Response:
        """The gateway can sell: a market is in force and Postgres answers."""
        missing = await self._readiness()
        document = {"status": "ready"} if missing is None else {"status": "not_ready", "detail": missing}
        return Response(orjson.dumps(document), 200 if missing is None else 503, media_type=JSON_TYPE)

    async def metrics(self, request: Request) -> Response:
        """Prometheus text, for loopback and private peers or the bearer of the metrics token."""
        peer = request.client.host if request.client else ""
        if not self._readers.admit(peer, request.headers.get("authorization", "")):
            raise Problem(403, "forbidden", "Metrics are for private peers, or the bearer of the metrics token.")
        text = await asyncio.to_thread(REGISTRY.text)  # of thousands of series: pings go on meanwhile
        return Response(text, media_type=CONTENT_TYPE)
