"""Doors for probes and scrapers: alive, ready, metrics."""

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response

from exchange.api.body import JSON_TYPE
from exchange.errors import Problem
from exchange.observe.metrics import REGISTRY
from exchange.observe.registry import CONTENT_TYPE

Readiness = Callable[[], Awaitable[str | None]]
"""Says why the gateway is not ready, or None."""


class HealthDoor:
    """`/livez`, `/readyz` and `/metrics`."""

    def __init__(self, readiness: Readiness, metrics_token: str | None) -> None:
        self._readiness = readiness
        self._metrics_token = metrics_token

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
        if not (_is_near(request) or self._has_token(request)):
            raise Problem(403, "forbidden", "Metrics are for private peers, or the bearer of the metrics token.")
        text = await asyncio.to_thread(REGISTRY.text)  # of thousands of series: pings go on meanwhile
        return Response(text, media_type=CONTENT_TYPE)

    def _has_token(self, request: Request) -> bool:
        given = request.headers.get("authorization", "")
        expected = f"Bearer {self._metrics_token}"
        return self._metrics_token is not None and hmac.compare_digest(given.encode(), expected.encode())


def _is_near(request: Request) -> bool:
    try:
        peer = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return peer.is_loopback or peer.is_private
