"""The figures that count, out of the measurements that run.py made: medians of the runs, minimum and maximum."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

OURS = "project"
Row = dict[str, Any]


def table(folder: Path) -> str:
    """The summary as Markdown; a figure whose measurement is missing is left out."""
    lines = ["### In short", "", "| measure | median (min-max) |", "| --- | ---: |"]
    for name, values, digits in _figures(_Runs(folder)):
        if values:
            found = f"{median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
            lines.append(f"| {name} | {found} |")
    return "\n".join(lines)


def slowest(folder: Path, peers: set[str]) -> float | None:
    """Pings/s at saturation, buyers 0 ms, of the exchange or of Go, whichever is less; None without a measurement."""
    runs = _Runs(folder)
    rates = [[row["pings_s"] for row in runs.of("instant", name).values()] for name in (OURS, *peers & {"go"})]
    return min((median(found) for found in rates if found), default=None)


class _Runs:
    """Measured runs by measurement and gateway."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, measurement: str, gateway: str) -> dict[int, Row]:
        path = self._folder / f"{measurement}.json"
        rows = json.loads(path.read_text())["runs"] if path.exists() else []
        return {row["run"]: row for row in rows if row["gateway"] == gateway}

    def ratios(self, measurement: str, peer: str, *keys: str) -> list[float]:
        """Ours over the peer's, run by run: what the machine did to both falls out."""
        ours, theirs = self.of(measurement, OURS), self.of(measurement, peer)
        return [_value(ours[run], keys) / _value(theirs[run], keys) for run in ours.keys() & theirs.keys()]


def _figures(runs: _Runs) -> Iterator[tuple[str, list[float], int]]:
    full, cpu = ("saturated", "cpu_ms_per_ping"), ("open_loop", "cpu_ms_per_ping")
    yield "CPU per ping / Go's, at saturation, buyers 0 ms", runs.ratios("instant", "go", *full), 2
    rate = next((row["open_loop"]["offered_s"] for row in runs.of("steady", OURS).values()), 0)
    yield f"CPU per ping / Go's, at {rate:,.0f} pings/s, buyers 50 ms", runs.ratios("steady", "go", *cpu), 2
    yield "CPU per ping / Node's, at saturation, buyers 0 ms", runs.ratios("instant", "node", *full), 2
    yield "pings/s / textbook's, at saturation, buyers 0 ms", runs.ratios("instant", "textbook", "pings_s"), 1
    half = runs.of("half", OURS).values()
    yield (
        "p99 ms added to the buyers' 50 ms, at half of saturation",
        [row["open_loop"]["p99_ms"] - 50 for row in half],
        1,
    )
    yield "pings/s at saturation, buyers 0 ms", [row["pings_s"] for row in runs.of("instant", OURS).values()], 0


def _value(row: Row, keys: tuple[str, ...]) -> float:
    found: Any = row
    for key in keys:
        found = found[key]
    return float(found)
