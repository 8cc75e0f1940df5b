"""Spans for an OpenTelemetry collector: made for some requests, sent from a thread, dropped rather than waited for.

Only imported where EXCHANGE_OTLP_ENDPOINT is set: it needs the extra `lead-exchange[otel]`.
"""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from exchange.observe import metrics

NAME = "lead-exchange"
PATH = "/v1/traces"
BATCH_MAX = 512
SEND_EVERY_S = 0.5
SEND_WITHIN_S = 2.0
"""How long the thread tries one batch; and, at the end, the gateway waits for the last ones."""

Attributes = Mapping[str, str | int | float | bool]

log = structlog.get_logger(__name__)


class Watched:
    """A request under way whose spans are kept. Moments are those of `time.monotonic()`."""

    def __init__(self, tracer: trace.Tracer, name: str, parent: Context | None, began_s: float) -> None:
        self._tracer = tracer
        self._zero_ns = time.time_ns() - time.monotonic_ns()
        self._root = tracer.start_span(name, parent, kind=SpanKind.SERVER, start_time=self._ns(began_s))
        self._inside = trace.set_span_in_context(self._root, Context())

    def add(self, name: str, began_s: float, ended_s: float, attributes: Attributes, *, is_call: bool = False) -> None:
        """Adds a part of the request; `is_call` says that it is a call to a buyer."""
        kind = SpanKind.CLIENT if is_call else SpanKind.INTERNAL
        span = self._tracer.start_span(name, self._inside, kind, attributes, start_time=self._ns(began_s))
        span.end(self._ns(ended_s))

    def describe(self, attributes: Attributes) -> None:
        self._root.set_attributes(attributes)

    def end(self, error: str | None = None) -> None:
        """Ends the request's own span; parts that take longer may still be added. `error` is a code."""
        if error is not None:
            self._root.set_attribute("error.type", error)
            self._root.set_status(StatusCode.ERROR)
        self._root.end()

    def _ns(self, moment_s: float) -> int:
        return self._zero_ns + int(moment_s * 1e9)


class Spans:
    """Makes spans of `share` of the requests. At most `waiting_max` wait to be sent; more are dropped and counted."""

    def __init__(self, endpoint: str, share: float, waiting_max: int) -> None:
        url = endpoint.rstrip("/")
        exporter = OTLPSpanExporter(url if url.endswith(PATH) else url + PATH, timeout=SEND_WITHIN_S)
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what is lost is counted, and logged below
        self._share = share
        self._outbound = _Outbound(exporter, waiting_max)
        resource = Resource({"service.name": NAME}).merge(OTELResourceDetector().detect())  # OTEL_SERVICE_NAME and such
        provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(self._outbound)
        self._tracer = provider.get_tracer(NAME)
        self._context = TraceContextTextMapPropagator()

    def begin(self, name: str, traceparent: str | None, began_s: float) -> Watched | None:
        """A request that begins, if it is one of those that are kept: by luck, whatever its sender asks for."""
        if random.random() >= self._share:  # noqa: S311  # luck need not be secret
            return None
        parent = None if traceparent is None else self._context.extract({"traceparent": traceparent}, Context())
        return Watched(self._tracer, name, parent, began_s)

    def measure(self) -> None:
        """Brings the metric of spans up to date."""
        self._outbound.measure()

    def close(self) -> None:
        """Sends what is waiting, for as long as one batch may take."""
        self._outbound.shutdown()


class _Outbound(SpanProcessor):
    """A bounded queue and the thread that empties it. Its counts are read by the event loop, which alone counts."""

    def __init__(self, exporter: OTLPSpanExporter, waiting_max: int) -> None:
        self._exporter = exporter
        self._waiting: deque[ReadableSpan] = deque()
        self._waiting_max = waiting_max
        self._counts = {"sent": 0, "lost": 0, "dropped": 0}
        self._shown = dict.fromkeys(self._counts, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        if len(self._waiting) >= self._waiting_max:
            self._counts["dropped"] += 1
            metrics.LIMITS_HIT.add(("trace_spans_max",))
        else:
            self._waiting.append(span)

    def measure(self) -> None:
        for outcome, count in self._counts.items():
            metrics.SPANS.add((outcome,), count - self._shown[outcome])
            self._shown[outcome] = count

    def shutdown(self) -> None:
        self._stop.set()
        self._thread.join(SEND_WITHIN_S)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the exporter's annotations are partial
        self._thread.join(SEND_WITHIN_S)
        self._counts["dropped"] += len(self._waiting)
        self.measure()

    def _run(self) -> None:
        while not self._stop.wait(SEND_EVERY_S):
            self._empty()
        self._empty()

    def _empty(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]
            before = self._counts["lost"]
            outcome = "sent" if self._exporter.export(batch) is SpanExportResult.SUCCESS else "lost"
            self._counts[outcome] += len(batch)
            if outcome == "lost" and not before:
                log.warning("spans_lost", count=len(batch), detail="the collector did not take them; said once")
            if outcome == "lost" and self._stop.is_set():
                return


def as_attributes(**found: Any) -> dict[str, str | int | float | bool]:
    """Attributes under this project's prefix; what is None is left out."""
    return {f"exchange.{name}": value for name, value in found.items() if value is not None}
