"""Points at which a process of the exchange kills itself, so that what it leaves behind can be looked at.

The product has no hooks for this: named functions of the process's own copy are wrapped.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import Any

import asyncpg
import asyncpg.transaction

import exchange.reconcile
import exchange.storage.accounts
import exchange.storage.holds
from exchange.buyers.delivery import Courier
from exchange.errors import StorageUnavailable
from exchange.storage.database import Database
from exchange.storage.posts import Ended
from exchange.storage.sales import Sales

MARKER = "CHAOS_MARKER"
"""Names a file that is there from the moment at which a buyer, or the wire, has the whole of a delivery."""

_under_way: ContextVar[str] = ContextVar("under_way", default="")


def die() -> None:
    """Ends this process at once, as a power cut would. Its log says that it was here."""
    os.write(2, b"killed at the point\n")
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def within(owner: Any, name: str) -> None:
    """Lets what is called inside a function know that it is."""
    original = getattr(owner, name)

    @wraps(original)
    async def noted(*arguments: Any, **keywords: Any) -> Any:
        token = _under_way.set(name)
        try:
            return await original(*arguments, **keywords)
        finally:
            _under_way.reset(token)

    setattr(owner, name, noted)


def under_way() -> str:
    """The function that is running now, of those that let it be known."""
    return _under_way.get()


def before(owner: Any, name: str) -> None:
    """Dies instead of calling a function."""

    async def never(*_: Any, **__: Any) -> None:
        die()

    setattr(owner, name, never)


def after(owner: Any, name: str, is_it: Callable[[Any], bool] = lambda _: True) -> None:
    """Dies when a function has done its work, if what it returns is what we wait for."""
    original = getattr(owner, name)

    @wraps(original)
    async def last(*arguments: Any, **keywords: Any) -> Any:
        result = await original(*arguments, **keywords)
        if is_it(result):
            die()
        return result

    setattr(owner, name, last)


def at_commit(name: str, strike: Callable[[], None] = die, *, sent: bool) -> None:
    """Strikes, once, before the commit of a transaction inside a function, or when COMMIT was sent, not confirmed.

    A statement that is a transaction of its own is committed with its last byte.
    """
    struck: list[str] = []
    leave, call = asyncpg.transaction.Transaction.__aexit__, Database.call

    async def struck_at(commit: Coroutine[Any, Any, Any]) -> Any:
        struck.append(name)
        if not sent:
            strike()
        committing = asyncio.ensure_future(commit)
        if strike is die:
            for _ in range(3):
                await asyncio.sleep(0)
        else:
            await committing
        if sent:
            strike()
        return await committing

    async def left(self: Any, kind: object, error: object, trace: object) -> None:
        leaving = leave(self, kind, error, trace)
        await (leaving if kind is not None or _under_way.get() != name or struck else struck_at(leaving))

    async def called(self: Database, query: str, *arguments: object, timeout_s: float | None = None) -> Any:
        calling = call(self, query, *arguments, timeout_s=timeout_s)
        try:
            return await (calling if _under_way.get() != name or struck else struck_at(calling))
        except asyncpg.PostgresConnectionError as error:
            raise StorageUnavailable(str(error)) from error

    asyncpg.transaction.Transaction.__aexit__ = left  # type: ignore[method-assign, assignment]
    Database.call = called  # type: ignore[method-assign]


def step_by_step() -> None:
    """Lets nothing go straight but sales."""

    async def never(*_: Any) -> Any:
        return None

    Sales._claim_straight = never  # type: ignore[method-assign, assignment]
    Sales._step_down = never  # type: ignore[method-assign, assignment]


def f1_before_the_claim_is_committed() -> None:
    within(Sales, "claim")
    at_commit("claim", sent=False)


def f2_after_the_post_is_there_before_the_attempt() -> None:
    step_by_step()
    before(exchange.storage.holds, "hold")


def f3_before_the_first_byte() -> None:
    before(Courier, "deliver")


def f4_after_the_last_byte_before_the_answer() -> None:
    original = Courier.deliver

    async def deliver(*arguments: Any, **keywords: Any) -> Any:
        sending = asyncio.ensure_future(original(*arguments, **keywords))
        while not Path(os.environ[MARKER]).exists():  # noqa: ASYNC240  # one look at a file
            await asyncio.sleep(0.005)
        assert not sending.done()
        die()

    Courier.deliver = deliver  # type: ignore[method-assign]


def f5_before_the_outcome_is_recorded() -> None:
    before(Sales, "conclude")


def f6_while_the_outcome_is_committed() -> None:
    within(Sales, "conclude")
    at_commit("conclude", sent=True)


def f7_before_the_seller_is_told() -> None:
    after(Sales, "conclude", lambda result: isinstance(result, Ended))


def f10_in_the_middle_of_a_verdict() -> None:
    within(exchange.reconcile, "resolve")
    at_commit("resolve", sent=False)


def f11_in_the_middle_of_a_return() -> None:
    after(exchange.storage.accounts, "take_back")


POINTS: Mapping[str, Callable[[], None]] = {
    "F1": f1_before_the_claim_is_committed,
    "F2": f2_after_the_post_is_there_before_the_attempt,
    "F3": f3_before_the_first_byte,
    "F4": f4_after_the_last_byte_before_the_answer,
    "F5": f5_before_the_outcome_is_recorded,
    "F6": f6_while_the_outcome_is_committed,
    "F7": f7_before_the_seller_is_told,
    "F10": f10_in_the_middle_of_a_verdict,
    "F11": f11_in_the_middle_of_a_return,
}
