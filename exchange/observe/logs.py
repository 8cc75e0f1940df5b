"""Logs: a line for each event, as JSON or for people, with fields from a short list: contact data cannot slip in."""

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

FIELDS = frozenset(
    {
        "event", "level", "timestamp", "logger", "exception", "error", "code", "reason", "status", "rows", "count",
        "ping_id", "post_id", "attempt_id", "campaign", "seller", "buyer", "order", "orders", "endpoint", "version",
        "elapsed_ms", "host", "port", "workers", "pid", "signal", "url", "detail", "path", "name", "days",
        "phase",
    }
)  # fmt: skip
"""What a log line may carry. Anything else is dropped and its name reported under `dropped`."""


def configure(level: str = "info", style: str = "json") -> None:
    """Sends the logs of the exchange and of its libraries to standard error; `style` is json or console."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            exception_without_text,
            only_known_fields,
            _renderer(style),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_WithoutExceptionText("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of what strangers send; that is counted


def _renderer(style: str) -> Processor:
    if style == "console":
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=18)
    return structlog.processors.JSONRenderer(serializer=_dumps)


def exception_without_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Puts an exception's type and where it was raised; its text may quote a lead, so it stays out."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1]
    if given and error is not None:
        event["exception"] = _place(error)
    return event


def only_known_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keeps the fields of the list; what a line must not carry is named, never shown."""
    dropped = sorted(key for key in event if key not in FIELDS)
    if not dropped:
        return event
    return {key: value for key, value in event.items() if key in FIELDS} | {"dropped": dropped}


class _WithoutExceptionText(logging.Formatter):
    """Formats what libraries log; of an exception it shows the type and the place."""

    def formatException(self, ei: "ExceptionInfo") -> str:  # noqa: N802  # the standard library's name
        return _place(ei[1]) if ei[1] is not None else ""


ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__} at {where}"


def _dumps(event: object, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()
