"""One HTTP request to a buyer, and every way in which it can go wrong, told apart by when it went wrong."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from exchange.buyers.guard import AddressGuard
from exchange.values.reason import Reason

ANSWER_BYTES_MAX = 65_536
CONNECT_TIMEOUT_S = 2.0
"""A buyer who does not take a connection within this has been sent nothing: it must be shorter than any post's time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """No whole answer. `sent` is false only where no byte of the request can have reached the buyer."""

    reason: Reason
    sent: bool
    detail: str = ""


def buyer_client(*, connections_idle_max: int) -> httpx.AsyncClient:
    """A client that follows no redirect, reads no proxy or netrc settings, and limits in time only the connecting."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=connections_idle_max, keepalive_expiry=30)
    headers = {"User-Agent": "lead-exchange", "Accept": "application/json", "Accept-Encoding": "identity"}
    timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
    return httpx.AsyncClient(limits=limits, headers=headers, timeout=timeout, follow_redirects=False, trust_env=False)


async def send(
    client: httpx.AsyncClient, guard: AddressGuard, url: str, headers: Mapping[str, str], body: bytes | None
) -> Answer | Failure:
    """Posts `body`, or gets where there is none, and reads at most 64 KiB of answer.

    Never raises for what a buyer or a network does. The caller bounds it in time by cancelling.
    """
    request = client.build_request("GET" if body is None else "POST", url, content=body, headers=dict(headers))
    refused = await guard.refusal(request.url.host, request.url.port or (443 if request.url.scheme == "https" else 80))
    if refused is not None:
        return Failure(refused, sent=False)
    try:
        response = await client.send(request, stream=True)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        return _not_connected(error)
    except httpx.HTTPError as error:
        return _broken(error)
    return await _read(response)


async def _read(response: httpx.Response) -> Answer | Failure:
    received = bytearray()
    try:
        async for chunk in response.aiter_raw():
            received += chunk
            if len(received) > ANSWER_BYTES_MAX:
                return Failure(Reason.RESPONSE_TOO_LARGE, sent=True)
    except httpx.HTTPError as error:
        return _broken(error)
    finally:
        await response.aclose()
    return Answer(response.status_code, bytes(received))


def _not_connected(error: Exception) -> Failure:
    causes = _causes(error)
    if any(isinstance(cause, ssl.SSLError | ssl.CertificateError) for cause in causes):
        return Failure(Reason.TLS_FAILED, sent=False, detail=type(error).__name__)
    if any(type(cause).__name__ == "gaierror" for cause in causes):
        return Failure(Reason.DNS_FAILED, sent=False)
    return Failure(Reason.CONNECT_FAILED, sent=False, detail=type(error).__name__)


def _broken(error: Exception) -> Failure:
    if isinstance(error, httpx.RemoteProtocolError) and "disconnected" not in str(error) and "closed" not in str(error):
        return Failure(Reason.INVALID_RESPONSE, sent=True, detail="not HTTP")
    return Failure(Reason.CONNECTION_LOST, sent=True, detail=type(error).__name__)


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found
