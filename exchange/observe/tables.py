"""Counters and histograms for the hot path: plain numbers in a dictionary, turned into metrics when somebody asks.

A ping touches some twenty of them. The client library's own take a lock and two calls each; these take a look-up. They
belong to the event loop's thread: nothing else may write to them.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

Labels = tuple[str, ...]


class CounterTable(Collector):
    """A counter with labels: `table.counts[labels] += 1` is all there is to it."""

    def __init__(self, name: str, help_text: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self.name = name
        self.counts: defaultdict[Labels, int] = defaultdict(int)
        self._help = help_text
        self._labels = labels
        registry.register(self)

    def add(self, labels: Labels) -> None:
        self.counts[labels] += 1

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(self.name, self._help, labels=self._labels)
        for labels, count in self.counts.items():
            family.add_metric(labels, count)
        yield family


class HistogramTable(Collector):
    """A histogram with labels. A row holds how many observations fell into each bucket, and in the end their sum."""

    def __init__(
        self, name: str, help_text: str, labels: Sequence[str], bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self.name = name
        self._help = help_text
        self._labels = labels
        self._bounds = tuple(float(bound) for bound in bounds)
        self._rows: dict[Labels, list[float]] = {}
        registry.register(self)

    def observe(self, labels: Labels, value: float) -> None:
        row = self._rows.get(labels)
        if row is None:
            row = self._rows[labels] = [0.0] * (len(self._bounds) + 2)
        row[bisect_left(self._bounds, value)] += 1
        row[-1] += value

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = HistogramMetricFamily(self.name, self._help, labels=self._labels)
        names = [*(str(bound) for bound in self._bounds), "+Inf"]
        for labels, row in self._rows.items():
            buckets = list(zip(names, accumulate(row[:-1]), strict=True))
            family.add_metric(labels, buckets, sum_value=row[-1])
        yield family
