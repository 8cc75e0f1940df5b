"""UUIDv7 (RFC 9562): ids that sort by time and carry the day that their record is filed under."""

import os
import threading
import time
from datetime import UTC, date, datetime
from uuid import UUID

_SEQUENCE_SPAN = 1 << 12


class Uuid7Generator:
    """Makes ids that rise strictly within a process, also inside one millisecond and when the clock steps back.

    The 12 bits after the version count on from a random start within one millisecond (RFC 9562, 6.2, method 1);
    when they run out, the next millisecond is borrowed from.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._sequence = 0

    def __call__(self) -> UUID:
        random = int.from_bytes(os.urandom(10))
        now_ms = time.time_ns() // 1_000_000
        with self._lock:
            if now_ms > self._last_ms:
                self._last_ms, self._sequence = now_ms, random >> 69  # 11 bits: half of the room is left to count
            else:
                self._sequence += 1
                if self._sequence == _SEQUENCE_SPAN:
                    self._last_ms, self._sequence = self._last_ms + 1, 0
            high = self._last_ms << 16 | 0x7000 | self._sequence
        low = 0b10 << 62 | random & (1 << 62) - 1
        return UUID(int=high << 64 | low)


uuid7 = Uuid7Generator()


def moment_of(identifier: UUID) -> datetime:
    """When a UUIDv7 was made, in UTC, to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)


def first_of(moment: datetime) -> UUID:
    """The least UUIDv7 that can be made at a moment: where a stretch of time begins among the ids."""
    milliseconds = int(moment.timestamp() * 1000)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | 0b10 << 62)


def day_of(identifier: UUID) -> date:
    """The UTC day of a UUIDv7: the partition that its ping is filed in. Raises ValueError for another version."""
    if identifier.version != 7:
        raise ValueError("not a UUIDv7")
    try:
        return moment_of(identifier).date()
    except (OverflowError, OSError) as error:
        raise ValueError("a UUIDv7 beyond the calendar") from error
