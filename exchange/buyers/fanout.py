"""The fan-out: all eligible orders are asked at the same moment, and one deadline ends the waiting."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from exchange.buyers.guard import AddressGuard
from exchange.buyers.wire import Answer, Failure, buyer_client, send
from exchange.values.bid import Asked, Bid, Refusal, Reply
from exchange.values.deadline import Deadline
from exchange.values.reason import Reason

CONNECTIONS_IDLE_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Call:
    """One order to be asked. `timeout_ms` is its own deadline; `read` turns an answer into its meaning."""

    order: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    timeout_ms: int
    read: Callable[[int, bytes], Reply]


class Fanout:
    """Asks buyers. A call never raises: it yields one `Asked`, whatever the buyer does."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard
        self._client: httpx.AsyncClient = buyer_client(connections_idle_max=CONNECTIONS_IDLE_MAX)

    async def close(self) -> None:
        await self._client.aclose()

    async def ask(self, calls: Sequence[Call], decide_by: Deadline) -> tuple[Asked, ...]:
        """Asks all orders at once; returns when all have answered, or none may any more.

        An answer that comes after its own deadline while others are still waited for is `LATE`; a buyer that is
        silent in the end is `TIMEOUT`. The result is in the order of `calls`.
        """
        started_s = time.monotonic()
        tasks = {asyncio.create_task(self._call(call, started_s)): call for call in calls}
        try:
            await _all_answered_or_overdue(tasks, started_s, decide_by)
        finally:
            for task in tasks:
                task.cancel()
        return tuple(
            task.result()
            if task.done() and not task.cancelled()
            else Asked(call.order, Refusal(Reason.TIMEOUT), _elapsed_ms(started_s))
            for task, call in tasks.items()
        )

    async def _call(self, call: Call, started_s: float) -> Asked:
        try:
            result = await send(self._client, self._guard, call.url, call.headers, call.body)
            reply = _meaning(result, call)
        except Exception as error:  # noqa: BLE001  # one buyer's trouble must not end the auction for the others
            reply = Refusal(Reason.INTERNAL_ERROR, type(error).__name__)
        elapsed_ms = _elapsed_ms(started_s)
        if isinstance(reply, Bid) and elapsed_ms > call.timeout_ms:
            reply = Refusal(Reason.LATE, gross_micros=reply.gross_micros)
        return Asked(call.order, reply, elapsed_ms)


async def _all_answered_or_overdue(
    tasks: Mapping["asyncio.Task[Asked]", Call], started_s: float, decide_by: Deadline
) -> None:
    waiting = set(tasks)
    while waiting:
        last_s = min(decide_by.at_s, started_s + max(tasks[task].timeout_ms for task in waiting) / 1000)
        left_s = last_s - time.monotonic()
        if left_s <= 0:
            return
        _, waiting = await asyncio.wait(waiting, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)


def _meaning(result: Answer | Failure, call: Call) -> Reply:
    if isinstance(result, Failure):
        return Refusal(result.reason, result.detail)
    return call.read(result.status, result.body)


def _elapsed_ms(started_s: float) -> float:
    return round((time.monotonic() - started_s) * 1000, 3)
