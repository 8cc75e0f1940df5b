"""A sheet: where one process keeps its figures, in memory that other processes can read while it counts.

The memory outlives its process: whoever follows counts on where it ended, so nothing counted is lost. A sheet
has one writer; readers ask nobody, so a frozen process delays none of them.
"""

import mmap
import os
import struct
import tempfile
import threading
from collections.abc import Sequence
from typing import NamedTuple

import orjson

HEAD_BYTES = 64
NAMES_BYTES_MAX = 2**21
CELLS_MAX = 2**18
"""Room for the series of some thousands of buyers; see `exchange_limits_hit_total`."""
SPARE_CELLS = 64
"""The last cells are never given to a row: what there is no room for is counted there, and not read."""
BYTES = HEAD_BYTES + NAMES_BYTES_MAX + CELLS_MAX * 8

_HEAD = struct.Struct("=QQQQ")  # of whose making, whether its process lives, bytes of names, cells in use


class Row(NamedTuple):
    """A series, or the cells of a histogram: they begin at `start`."""

    table: str
    labels: tuple[str, ...]
    start: int


class Sheet:
    """Cells of doubles, and the names of the rows that they belong to.

    `making` tells one layout of tables from another: a sheet of another making is of no use to its reader.
    """

    def __init__(self, memory: mmap.mmap, making: int) -> None:
        self._memory = memory
        self._making = making
        self._read_bytes = 0
        self._rows: list[Row] = []
        self._lock = threading.Lock()
        whole = memoryview(memory)
        self.cells = whole[HEAD_BYTES + NAMES_BYTES_MAX :].cast("d")

    @classmethod
    def private(cls, making: int) -> "Sheet":
        """A sheet that nobody else reads."""
        sheet = cls(mmap.mmap(-1, BYTES), making)
        sheet.open()
        return sheet

    @classmethod
    def shared(cls, descriptor: int, making: int) -> "Sheet":
        """The sheet on a descriptor from `shared_descriptors`."""
        return cls(mmap.mmap(descriptor, BYTES), making)

    @property
    def is_alive(self) -> bool:
        """Whether its process lives, and counts by the same tables as this one."""
        making, alive, _, _ = _HEAD.unpack_from(self._memory)
        return bool(alive) and bool(making == self._making)

    def open(self) -> None:
        """Begins to count here. What an earlier process counted stays, if it counted by the same tables."""
        making, _, names_bytes, used = _HEAD.unpack_from(self._memory)
        if making != self._making:
            self.cells[:used] = memoryview(bytes(used * 8)).cast("d")
            names_bytes, used = 0, 0
        _HEAD.pack_into(self._memory, 0, self._making, 1, names_bytes, used)

    def close(self) -> None:
        """Its process has ended: what it measured is no more, what it counted stays."""
        struct.pack_into("=Q", self._memory, 8, 0)

    def add_row(self, table: str, labels: Sequence[str], cells: int) -> int | None:
        """Where a new row begins; None where there is no room for it."""
        with self._lock:
            return self._add_row(table, labels, cells)

    def _add_row(self, table: str, labels: Sequence[str], cells: int) -> int | None:
        _, _, names_bytes, used = _HEAD.unpack_from(self._memory)
        name = orjson.dumps([table, labels, used]) + b"\n"
        if names_bytes + len(name) > NAMES_BYTES_MAX or used + cells > CELLS_MAX - SPARE_CELLS:
            return None
        at = HEAD_BYTES + names_bytes
        self._memory[at : at + len(name)] = name
        struct.pack_into("=QQ", self._memory, 16, names_bytes + len(name), used + cells)
        return int(used)

    def rows(self) -> Sequence[Row]:
        """All rows there are, in the order in which they were added; none of a sheet of another making."""
        with self._lock:
            making, _, names_bytes, _ = _HEAD.unpack_from(self._memory)
            if making != self._making or names_bytes < self._read_bytes:
                self._rows, self._read_bytes = [], 0
            if making == self._making and names_bytes > self._read_bytes:
                new = self._memory[HEAD_BYTES + self._read_bytes : HEAD_BYTES + names_bytes]
                self._rows += [_read(line) for line in new.splitlines()]
                self._read_bytes = names_bytes
            return self._rows


def shared_descriptors(count: int) -> list[int]:
    """Descriptors of so many empty sheets, which child processes may be given. Nothing of them stays on any disk."""
    descriptors = []
    for _ in range(count):
        with tempfile.TemporaryFile(prefix="exchange-figures-") as file:
            file.truncate(BYTES)
            descriptors.append(os.dup(file.fileno()))
    return descriptors


def _read(line: bytes) -> Row:
    table, labels, start = orjson.loads(line)
    return Row(table, tuple(labels), start)
