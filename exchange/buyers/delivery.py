"""The delivery of a post, and the question what became of it: each one request on a connection of its own."""

import asyncio
from collections.abc import Callable, Mapping

import httpx

from exchange.buyers.guard import AddressGuard
from exchange.buyers.wire import Answer, Failure, buyer_client, send
from exchange.values.bid import Delivery, NotSent, Unknown


class Courier:
    """Delivers leads. It never re-sends, and never re-uses a connection that a buyer may be about to close."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._client: httpx.AsyncClient = buyer_client(connections_idle_max=0)

    async def close(self) -> None:
        await self._client.aclose()

    async def deliver(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_ms: int,
        read: Callable[[int, bytes], Delivery],
    ) -> Delivery:
        """Sends a lead once, or asks without a body, and says what is known after at most `timeout_ms`."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                result = await send(self._client, self._guard, url, headers, body)
        except TimeoutError:
            return Unknown("silence")
        except Exception as error:  # noqa: BLE001  # whatever broke, the lead may be at the buyer: that is an outcome
            return Unknown(f"internal: {type(error).__name__}")
        return _known(result, read)


def _known(result: Answer | Failure, read: Callable[[int, bytes], Delivery]) -> Delivery:
    if isinstance(result, Failure):
        detail = f"{result.reason.wire_name} {result.detail}".strip()
        return Unknown(detail) if result.sent else NotSent(detail)
    return read(result.status, result.body)
