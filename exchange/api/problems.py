"""Errors on the wire: every 4xx and 5xx is application/problem+json with a stable code (RFC 9457)."""

from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from exchange.errors import FieldError, Problem, StorageUnavailable
from exchange.observe import metrics

MEDIA_TYPE = b"application/problem+json"
RETRY_AFTER_S = 1

TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Request timeout",
    409: "Conflict",
    410: "Gone",
    412: "Precondition failed",
    413: "Content too large",
    415: "Unsupported media type",
    422: "Unprocessable content",
    429: "Too many requests",
    431: "Request header fields too large",
    500: "Internal server error",
    503: "Service unavailable",
}
CODES = {404: "not_found", 405: "method_not_allowed", 422: "invalid_request"}

log = structlog.get_logger(__name__)


def install(app: FastAPI) -> None:
    """Makes every error of the application leave as a problem document."""
    app.router.redirect_slashes = False  # a path with a slash too many is a path that is not there
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(StorageUnavailable, _on_storage)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(Exception, _on_anything)


Parts = tuple[int, tuple[tuple[bytes, bytes], ...], bytes]
"""Status, headers without the content's length, and body."""


@dataclass(eq=False, slots=True)
class Prepared:
    """A problem that is known before anybody has it: what it becomes, and its code, by which it is to be counted.

    The server keeps the bytes that it sent here, with those headers of its own of which they were made.
    """

    code: str
    parts: Parts
    sent: bytes = b""
    sent_with: object = None


def prepared(problem: Problem) -> Prepared:
    """A problem made ready to be answered many times."""
    return Prepared(problem.code, _parts(problem))


def problem_parts(problem: Problem, door: str = "other") -> Parts:
    """The status, headers and body that a problem becomes; it is counted here, for the door that it left by."""
    metrics.PROBLEMS.add((door, problem.code))
    return _parts(problem)


def _parts(problem: Problem) -> Parts:
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.errors:
        document["errors"] = [{"field": e.field, "code": e.code, "detail": e.detail} for e in problem.errors]
    headers = [(b"content-type", MEDIA_TYPE)]
    if problem.retry_after_s is not None:
        headers.append((b"retry-after", str(problem.retry_after_s).encode()))
    if problem.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return problem.status, tuple(headers), orjson.dumps(document)


def problem_response(problem: Problem) -> Response:
    """A problem as a response of the framework's own doors."""
    status, headers, content = problem_parts(problem)
    return Response(content, status, {name.decode(): value.decode() for name, value in headers})


def internal_error() -> Problem:
    """We failed, before anything was sent to a buyer."""
    detail = "The exchange failed. Nothing was sold; send the same request again."
    return Problem(500, "internal_error", detail)


def unavailable() -> Problem:
    """Postgres is away: nothing was sold, nothing was stored."""
    detail = "The exchange cannot record anything at the moment. Nothing was sold; send the same request again."
    return Problem(503, "unavailable", detail, retry_after_s=RETRY_AFTER_S)


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  # starlette types handlers by Exception
    return problem_response(error)


async def _on_storage(request: Request, error: Exception) -> Response:
    log.warning("storage_unavailable", path=_template(request), error=str(error))
    return problem_response(unavailable())


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # starlette types handlers by Exception
    code = CODES.get(error.status_code, "invalid_request")
    detail = {404: "There is nothing at this path.", 405: f"{request.method} is not allowed at this path."}
    response = problem_response(Problem(error.status_code, code, detail.get(error.status_code, "The request failed.")))
    response.headers.update(error.headers or {})
    return response


async def _on_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # starlette types handlers by Exception
    errors = [FieldError(".".join(map(str, e["loc"][1:])), e["type"], e["msg"]) for e in error.errors()]
    return problem_response(Problem(422, "invalid_request", "The request has another shape.", errors=errors))


async def _on_anything(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=_template(request), exc_info=error)
    return problem_response(internal_error())


def _template(request: Request) -> str:
    """The path as its door has it, with names where ids stand: what somebody sent there is not for the log."""
    return str(getattr(request.scope.get("route"), "path", ""))
