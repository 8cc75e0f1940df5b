"""Counters, gauges and histograms as plain numbers on a sheet: a look-up and an addition, as the hot path has many.

They belong to the event loop's thread: nothing else may write to a row. New rows may be made by any thread.
"""

import math
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from exchange.observe.sheet import Sheet

Labels = tuple[str, ...]
Sample = tuple[str, Labels, str | None, float]
"""What follows the table's name in the sample's, labels, the bound of a bucket, and the value."""


class Table:
    """The rows of one metric: each has its labels' values, and its cells on this process's sheet."""

    kind = ""
    cells = 1

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name = name
        self.help_text = help_text
        self.labels = tuple(labels)
        self._rows: dict[Labels, int] = {}
        self._lock = threading.Lock()

    def bind(self, sheet: Sheet, refused: Callable[[], None]) -> None:
        """Counts on this sheet from now on; `refused` is told of each row that there is no room for."""
        self._sheet = sheet
        self._cells = sheet.cells
        self._refused = refused
        self._rows = {row.labels: row.start for row in sheet.rows() if row.table == self.name}
        self._begin()

    def _begin(self) -> None:
        """A metric without labels is there before anything happens, at zero."""
        if not self.labels:
            self._row(())

    def _row(self, labels: Labels) -> int:
        """Where a row begins that may be new. Where there is no room, it is not kept, and counted as refused."""
        with self._lock:
            start = self._rows.get(labels)
            if start is None:
                start = self._sheet.add_row(self.name, labels, self.cells)
            if start is None:
                self._refused()
                return -self.cells  # the sheet's last cells: nobody reads them
            self._rows[labels] = start
            return start

    def merge(self, values: Iterable[Sequence[float]]) -> Sequence[float]:
        """One row of what several processes have."""
        return [math.fsum(column) for column in zip(*values, strict=True)]

    def samples(self, labels: Labels, row: Sequence[float]) -> Iterator[Sample]:
        yield ("", labels, None, row[0])


class CounterTable(Table):
    """Counts; over several processes it is the sum."""

    kind = "counter"

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        start = self._rows.get(labels)
        self._cells[self._row(labels) if start is None else start] += amount

    def samples(self, labels: Labels, row: Sequence[float]) -> Iterator[Sample]:
        yield ("_total", labels, None, row[0])


class GaugeTable(Table):
    """The last value that was set; over several processes what `over` makes of those that live and have set it."""

    kind = "gauge"

    def __init__(
        self,
        name: str,
        help_text: str,
        labels: Sequence[str] = (),
        *,
        over: Callable[[Iterable[float]], float] = sum,
    ) -> None:
        super().__init__(name, help_text, labels)
        self._over = over

    def set(self, value: float, labels: Labels = ()) -> None:
        start = self._rows.get(labels)
        self._cells[self._row(labels) if start is None else start] = value

    def forget(self, labels: Labels = ()) -> None:
        """Shows nothing until it is set again."""
        if labels in self._rows:
            self._cells[self._rows[labels]] = math.nan

    def _begin(self) -> None:
        """What an earlier process measured is not so any more."""
        for labels in self._rows:
            self.forget(labels)

    def merge(self, values: Iterable[Sequence[float]]) -> Sequence[float]:
        there = [row[0] for row in values if not math.isnan(row[0])]
        return [float(self._over(there)) if there else math.nan]

    def samples(self, labels: Labels, row: Sequence[float]) -> Iterator[Sample]:
        if not math.isnan(row[0]):
            yield ("", labels, None, row[0])


class HistogramTable(Table):
    """How many observations fell into each bucket, and in the end their sum; over several processes added up."""

    kind = "histogram"

    def __init__(self, name: str, help_text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        super().__init__(name, help_text, labels)
        self.bounds = tuple(float(bound) for bound in bounds)
        self.cells = len(self.bounds) + 2
        self._sum_at = len(self.bounds) + 1

    def observe(self, value: float, labels: Labels = ()) -> None:
        start = self._rows.get(labels)
        if start is None:
            start = self._row(labels)
        self._cells[start + bisect_left(self.bounds, value)] += 1
        self._cells[start + self._sum_at] += value

    def samples(self, labels: Labels, row: Sequence[float]) -> Iterator[Sample]:
        counts = list(accumulate(row[:-1]))
        for bound, count in zip((*map(str, self.bounds), "+Inf"), counts, strict=True):
            yield ("_bucket", labels, bound, count)
        yield ("_count", labels, None, counts[-1])
        yield ("_sum", labels, None, row[-1])
