"""Figures on sheets: what one process counts another reads, what is counted stays, and what is measured goes."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exchange.observe import sheet as sheets
from exchange.observe.registry import Registry
from exchange.observe.sheet import Sheet, shared_descriptors
from exchange.observe.tables import CounterTable, GaugeTable, HistogramTable


class Example:
    """A registry with a table of each kind."""

    def __init__(self, bounds: tuple[float, ...] = (0.1, 1)) -> None:
        self.count = CounterTable("calls", "Calls.", ["who"])
        self.plain = CounterTable("turns", "Turns.")
        self.open = GaugeTable("open", "Open.", ["who"])
        self.oldest = GaugeTable("version", "Version.", over=min)
        self.time = HistogramTable("took_seconds", "Time.", ["who"], bounds)
        self.limits = CounterTable("limits_hit", "Limits.", ["limit"])
        tables = (self.count, self.plain, self.open, self.oldest, self.time, self.limits)
        self.registry = Registry(tables, self.limits)

    def share(self, descriptors: list[int], own: int) -> list[Sheet]:
        shared = [Sheet.shared(descriptor, self.registry.making) for descriptor in descriptors]
        self.registry.share(shared, own)
        return shared

    def shown(self) -> dict[str, float]:
        """What a scraper reads, by an independent reader."""
        return {
            sample.name + "".join(f"{{{key}={value}}}" for key, value in sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(self.registry.text().decode())
            for sample in family.samples
        }


@pytest.fixture
def descriptors() -> Iterator[list[int]]:
    made = shared_descriptors(2)
    yield made
    for descriptor in made:
        os.close(descriptor)


def test_a_scraper_reads_what_was_counted() -> None:
    example = Example()
    example.count.add(("a",))
    example.count.add(("a",), 2.5)
    example.count.add(('quote " back \\ line \n',))
    example.open.set(7, ("a",))
    for value in (0.05, 0.1, 0.5, 9):
        example.time.observe(value, ("a",))
    shown = example.shown()
    assert shown["calls_total{who=a}"] == 3.5
    assert shown['calls_total{who=quote " back \\ line \n}'] == 1
    assert (shown["turns_total"], shown["open{who=a}"]) == (0, 7)
    assert [shown[f"took_seconds_bucket{{le={bound}}}{{who=a}}"] for bound in ("0.1", "1.0", "+Inf")] == [2, 3, 4]
    assert shown["took_seconds_count{who=a}"] == 4
    assert shown["took_seconds_sum{who=a}"] == pytest.approx(9.65)
    assert "version" not in shown  # nobody has set it


def test_processes_are_added_up_and_the_dead_measure_nothing(descriptors: list[int]) -> None:
    first, second = Example(), Example()
    first.share(descriptors, 0)
    held = second.share(descriptors, 1)
    for example, version in ((first, 3), (second, 4)):
        example.count.add(("a",), version)
        example.time.observe(0.5, ("a",))
        example.open.set(version, ("a",))
        example.oldest.set(version)
    assert first.shown() == second.shown()
    assert first.shown() | {"calls_total{who=a}": 7, "open{who=a}": 7, "version": 3} == first.shown()
    assert first.shown()["took_seconds_bucket{le=1.0}{who=a}"] == 2
    held[0].close()
    left = second.shown()
    assert (left["calls_total{who=a}"], left["open{who=a}"], left["version"]) == (7, 4, 4)

    successor = Example()
    successor.share(descriptors, 0)
    assert (successor.shown()["calls_total{who=a}"], successor.shown()["open{who=a}"]) == (7, 4)
    successor.count.add(("a",))
    successor.count.add(("new",))
    assert second.shown()["calls_total{who=a}"] == 8
    assert second.shown()["calls_total{who=new}"] == 1


def test_a_process_with_other_tables_begins_anew(descriptors: list[int]) -> None:
    old, new = Example(), Example(bounds=(0.1, 0.2, 0.3))
    old.share(descriptors, 0)
    old.count.add(("a",), 5)
    new.share(descriptors, 1)
    assert "calls_total{who=a}" not in new.shown()
    follower = Example(bounds=(0.1, 0.2, 0.3))
    follower.share(descriptors, 0)
    follower.count.add(("a",))
    assert new.shown()["calls_total{who=a}"] == 1
    assert old.shown() == {}  # its own sheet has been taken from it


def test_where_there_is_no_room_nothing_breaks_and_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "CELLS_MAX", sheets.SPARE_CELLS + 20)
    example = Example()
    for name in range(50):
        example.count.add((str(name),))
        example.time.observe(0.5, (str(name),))
        example.open.set(1, (str(name),))
    example.count.add(("0",))
    shown = example.shown()
    assert shown["calls_total{who=0}"] == 2
    assert shown["limits_hit_total{limit=figures}"] > 50
    assert all(math.isfinite(value) for value in shown.values())
    assert len(shown) < 30


COUNTS_ON = """
import sys
from test_figures import Example
example = Example()
example.share([int(sys.argv[1])], 0)
while True:
    example.count.add(("a",))
    if example.registry.get("calls_total", {"who": "a"}) == 1000:
        print(flush=True)
"""


def test_a_process_that_is_frozen_or_killed_hides_nothing(descriptors: list[int]) -> None:
    example = Example()
    example.share(descriptors, 1)
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTS_ON, str(descriptors[0])],
        pass_fds=descriptors,
        cwd=os.path.dirname(__file__),  # noqa: PTH120  # the working directory is a text
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.1)
    frozen = example.shown()["calls_total{who=a}"]
    assert frozen >= 1000
    assert example.shown()["calls_total{who=a}"] == frozen
    process.kill()
    process.wait()
    process.stdout.close()
    assert example.shown()["calls_total{who=a}"] == frozen
