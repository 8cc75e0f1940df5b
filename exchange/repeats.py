"""Repeats: the first answer again, also where the first was given without Postgres, and so is not recorded yet."""

import asyncio
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import UUID

import structlog

from exchange.background import Background, stop, until_stored
from exchange.errors import StorageUnavailable
from exchange.observe import metrics
from exchange.storage import retelling
from exchange.storage.database import Database
from exchange.storage.slips import Slip, Slips
from exchange.storage.withdrawal import Withdrawn, withdraw
from exchange.values.ids import moment_of

SETTLE_EVERY_S = 5.0
FRESH_S = 120.0
"""For so long the gateway that made a post may still be about to tell its seller something else than is stored."""

log = structlog.get_logger(__name__)


class Again(Enum):
    """Why a repeat gets no answer: the first request is running, or nothing of it is there any more."""

    RUNNING = "running"
    GONE = "gone"


class Repeats:
    """What was told of posts. The first who tells something of a post writes it down; everybody else says the same."""

    def __init__(self, database: Database, slips: Slips, background: Background) -> None:
        self._database = database
        self._slips = slips
        self._background = background
        self._kept: set[UUID] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Settles what is written down, now and again and again: a process before this one may have left some."""
        self._tasks = [asyncio.create_task(self._follow(), name="slips")]

    async def close(self) -> None:
        await stop(self._tasks)

    def tell(self, post_id: UUID, answer: bytes) -> bytes:
        """What the seller of a post is told while Postgres cannot be asked: `answer`, if nothing else was before."""
        return self._write(Slip(post_id, answer), "answer").told or answer

    async def keep(self, post_id: UUID, told: bytes) -> None:
        """Records what a seller was told as the first answer. Raises StorageUnavailable."""
        await retelling.keep(self._database, post_id, told)

    def refuse(self, post_id: UUID) -> bytes | None:
        """Before a seller is told that nothing is stored, of a post that may be: it is taken back as soon as possible.

        Where somebody was told an answer before, that is returned, and is the answer.
        """
        slip = self._write(Slip(post_id, None), "nothing")
        if slip.told is None:
            facts = {"post_id": str(post_id)}
            self._background.start(until_stored(facts, lambda: self._settle(slip)), "withdraw")
        return slip.told

    async def first_answer(self, post_id: UUID, stored: bytes | None) -> bytes | Again:
        """What a repeat is told of a post for which this answer is `stored`. Raises StorageUnavailable.

        Where its gateway may still be at work it is written down, so that this one says the same if it is cut off.
        """
        slip = self._read(post_id)
        if slip is None:
            if stored is None:
                return Again.RUNNING if await retelling.is_there(self._database, post_id) else Again.GONE
            if datetime.now(UTC) - moment_of(post_id) > timedelta(seconds=FRESH_S):
                return stored
            if not await retelling.mark(self._database, post_id):
                return Again.GONE
            slip = self._write(Slip(post_id, stored), "again")
        if slip.told is not None:
            return slip.told
        if await self._settle(slip) is not Withdrawn.STANDS:
            return Again.GONE
        return Again.RUNNING if stored is None else stored

    async def settle(self) -> None:
        """Brings to Postgres what is written down. Raises StorageUnavailable where that cannot be."""
        slips = await asyncio.to_thread(self._all)
        self._kept &= {slip.post_id for slip in slips}
        for slip in slips:
            await self._settle(slip)

    async def _settle(self, slip: Slip) -> Withdrawn:
        if slip.told is None:
            found = await withdraw(self._database, slip.post_id)
            log.warning("claim_withdrawn", post_id=str(slip.post_id), status=found.value)
            self._tear(slip)
            return found
        if slip.post_id not in self._kept:
            await retelling.keep(self._database, slip.post_id, slip.told)
            self._kept.add(slip.post_id)
        if slip.age_s > FRESH_S:
            self._tear(slip)
        return Withdrawn.STANDS

    async def _follow(self) -> None:
        while True:
            try:
                await self.settle()
            except StorageUnavailable as error:
                log.warning("slips_not_settled", error=str(error))
            except Exception:
                log.exception("slips_not_followed")  # whatever it was, they must be looked at again
            await asyncio.sleep(SETTLE_EVERY_S)

    def _write(self, slip: Slip, what: str) -> Slip:
        """Without a disk to write on what is told is told all the same: only this process knows it then."""
        try:
            first = self._slips.write(slip)
        except OSError as error:
            log.error("slip_not_written", post_id=str(slip.post_id), error=str(error))  # noqa: TRY400  # that is all
            metrics.SLIPS.add(("lost",))
            return slip
        if first is slip:
            metrics.SLIPS.add((what,))
        return first

    def _read(self, post_id: UUID) -> Slip | None:
        try:
            return self._slips.read(post_id)
        except OSError as error:
            log.error("slip_not_read", post_id=str(post_id), error=str(error))  # noqa: TRY400  # that is all
            return None

    def _all(self) -> list[Slip]:
        try:
            return self._slips.all()
        except OSError as error:
            log.error("slips_not_read", error=str(error))  # noqa: TRY400  # that is all
            return []

    def _tear(self, slip: Slip) -> None:
        try:
            self._slips.tear(slip.post_id)
        except OSError as error:
            log.error("slip_not_torn", post_id=str(slip.post_id), error=str(error))  # noqa: TRY400  # that is all
