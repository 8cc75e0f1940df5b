"""UUIDv7 (RFC 9562): ids that sort by time and carry the day that their record is filed under."""

import os
import struct
import threading
import time
from datetime import UTC, date, datetime
from functools import lru_cache
from uuid import UUID, SafeUUID

_SEQUENCE_SPAN = 1 << 12
_NUMBERS_KEPT = struct.Struct("512Q")
_DAY_MS = 86_400_000
_UNKNOWN = SafeUUID.unknown
_new, _set_int, _set_is_safe = object.__new__, vars(UUID)["int"].__set__, vars(UUID)["is_safe"].__set__
_FIRST_DAY = date(1970, 1, 1).toordinal()


class Uuid7Generator:
    """Makes ids that rise strictly within a process, also inside one millisecond and when the clock steps back.

    The 12 bits after the version count on from a random start within one millisecond (RFC 9562, 6.2, method 1);
    when they run out, the next millisecond is borrowed from.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._sequence = 0
        self._numbers: list[int] = []

    def __call__(self) -> UUID:
        now_ms = time.time_ns() // 1_000_000
        with self._lock:
            if len(self._numbers) < 2:
                self._numbers.extend(_NUMBERS_KEPT.unpack(os.urandom(_NUMBERS_KEPT.size)))  # each time a system call
            if now_ms > self._last_ms:
                self._last_ms = now_ms
                self._sequence = self._numbers.pop() >> 53  # 11 bits: half of the room is left to count
            else:
                self._sequence += 1
                if self._sequence == _SEQUENCE_SPAN:
                    self._last_ms, self._sequence = self._last_ms + 1, 0
            high, low = self._last_ms << 16 | 0x7000 | self._sequence, self._numbers.pop() >> 2
        made = _new(UUID)  # `UUID(int=...)` in a third of the time, without a look at what cannot be wrong
        _set_int(made, high << 64 | 0b10 << 62 | low)
        _set_is_safe(made, _UNKNOWN)
        return made

    def forget(self) -> None:
        """Lets go of the random numbers that are kept: a forked process must not share them with its parent."""
        self._numbers.clear()


uuid7 = Uuid7Generator()
os.register_at_fork(after_in_child=uuid7.forget)


def moment_of(identifier: UUID) -> datetime:
    """When a UUIDv7 was made, in UTC, to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)


def age_s(identifier: UUID, now_s: float) -> float:
    """How long ago a UUIDv7 was made, by Unix time; less than nothing where another clock is ahead."""
    return now_s - (identifier.int >> 80) / 1000


def first_of(moment: datetime) -> UUID:
    """The least UUIDv7 that can be made at a moment: where a stretch of time begins among the ids."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62)


def day_of(identifier: UUID) -> date:
    """The UTC day of a UUIDv7: the partition that its ping is filed in. Raises ValueError for another version."""
    number = identifier.int
    if number >> 76 & 0xF != 7 or number >> 62 & 0b11 != 0b10:
        raise ValueError("not a UUIDv7")
    return _day((number >> 80) // _DAY_MS)


@lru_cache(64)
def _day(days: int) -> date:
    """The day after so many since 1970. Raises ValueError beyond the calendar."""
    return date.fromordinal(_FIRST_DAY + days)
