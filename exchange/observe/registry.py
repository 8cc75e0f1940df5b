"""The registry: all tables of a process, the sheets they are read from, and the text that a scraper reads."""

import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric

from exchange.observe.sheet import Row, Sheet
from exchange.observe.tables import CounterTable, GaugeTable, Labels, Table

CONTENT_TYPE = CONTENT_TYPE_LATEST

Figures = dict[Labels, Sequence[float]]


class Registry:
    """Tables that count on a private sheet, until this process is told which sheets it shares with others."""

    def __init__(self, tables: Sequence[Table], limits_hit: CounterTable) -> None:
        """`limits_hit` counts rows for which a sheet has no room, under `figures`."""
        self.tables = tuple(tables)
        self.making = _making(tables)
        self._limits_hit = limits_hit
        self._count_on(Sheet.private(self.making))

    def share(self, sheets: Sequence[Sheet], own: int) -> None:
        """Counts on `sheets[own]` from now on, and shows what all of these processes have counted."""
        sheets[own].open()
        self._count_on(sheets[own])
        self._sheets = sheets

    def text(self) -> bytes:
        """What all processes have counted, in Prometheus' text format. Any thread may ask."""
        return self._text(self.figures())

    def own_text(self) -> bytes:
        """What is on the sheet of this process."""
        return self._text(self._merged((self._own,)))

    def _text(self, found: dict[str, Figures]) -> bytes:
        families = (_family(table, found[table.name]) for table in self.tables)
        return generate_latest(_Page([family for family in families if family.samples]))

    def figures(self) -> dict[str, Figures]:
        """The rows of each table: the counts of all processes, and the gauges of those that live."""
        return self._merged(self._sheets)

    def _merged(self, sheets: Sequence[Sheet]) -> dict[str, Figures]:
        tables = {table.name: table for table in self.tables}
        found: dict[tuple[str, Labels], list[list[float]]] = {}
        for sheet in sheets:
            is_alive = sheet.is_alive
            for row in sheet.rows():
                table = tables[row.table]
                if is_alive or not isinstance(table, GaugeTable):
                    found.setdefault((row.table, row.labels), []).append(_read(sheet, row, table))
        merged: dict[str, Figures] = {name: {} for name in tables}
        for (name, labels), rows in found.items():
            merged[name][labels] = rows[0] if len(rows) == 1 else tables[name].merge(rows)
        return merged

    def get(self, sample: str, labels: dict[str, str] | None = None) -> float | None:
        """The value of one sample by its whole name, as a scraper would see it; None where it is not there."""
        for table in self.tables:
            if not sample.startswith(table.name):
                continue
            row = self.figures()[table.name].get(tuple((labels or {}).get(name, "") for name in table.labels))
            for suffix, _, bound, value in () if row is None else table.samples((), row):
                if sample == table.name + suffix and bound is None:
                    return value
        return None

    def _count_on(self, sheet: Sheet) -> None:
        self._own, self._sheets = sheet, (sheet,)
        self._limits_hit.bind(sheet, self._refused)
        self._limits_hit.add(("figures",), 0)  # its row is there before anything can be refused
        for table in self.tables:
            if table is not self._limits_hit:
                table.bind(sheet, self._refused)

    def _refused(self) -> None:
        self._limits_hit.add(("figures",))


def _read(sheet: Sheet, row: Row, table: Table) -> list[float]:
    return list(map(float, sheet.cells[row.start : row.start + table.cells]))


def _making(tables: Iterable[Table]) -> int:
    """A number that changes with the tables: sheets are laid out by them."""
    layout = [(table.name, table.kind, table.labels, getattr(table, "bounds", ())) for table in tables]
    return zlib.crc32(repr(layout).encode()) + 1


class _Page(NamedTuple):
    """Figures as the client library writes them."""

    families: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.families


def _family(table: Table, rows: Figures) -> Metric:
    family = Metric(table.name, table.help_text, table.kind)
    for labels, row in rows.items():
        named = dict(zip(table.labels, labels, strict=True))
        for suffix, _, bound, value in table.samples(labels, row):
            family.add_sample(table.name + suffix, named if bound is None else named | {"le": bound}, value)
    return family
