"""What is counted of a pool's connections, and how the metrics are told: once a second; what is seldom, at once."""

from typing import NamedTuple, Protocol

from exchange.observe import metrics


class Stats(NamedTuple):
    """What became of connections and calls, counted since the start, and how many connections there are now."""

    made: int = 0
    not_made: int = 0
    reused: int = 0
    busy: int = 0
    retried: int = 0
    drained: int = 0
    open: int = 0
    idle: int = 0

    def plus(self, other: "Stats") -> "Stats":
        return Stats(*map(int.__add__, self, other))


class Load(Protocol):
    """Whoever counts the calls under way. One that nobody waits for any more is, until its answer is there."""

    calls: int


class PoolMeasures:
    """The metrics of the connections to one address."""

    def __init__(self, address: str) -> None:
        self._label = (address,)
        self._told = Stats()

    def connected(self, took_s: float) -> None:
        metrics.CONNECT_SECONDS.observe(took_s)
        metrics.ADDRESS_CONNECT_SECONDS.add(self._label, took_s)

    def waited(self, took_s: float) -> None:
        metrics.POOL_WAIT_SECONDS.observe(took_s)
        metrics.ADDRESS_POOL_WAIT_SECONDS.add(self._label, took_s)

    def tell(self, stats: Stats) -> None:
        """Adds what has been counted since the last time."""
        for result in _RESULTS:
            if more := getattr(stats, result) - getattr(self._told, result):
                metrics.CONNECTIONS.add((*self._label, result), more)
        if busy := stats.busy - self._told.busy:
            metrics.LIMITS_HIT.add(("connections",), busy)
        metrics.CONNECTIONS_OPEN.set(stats.open, self._label)
        self._told = stats

    def forget(self) -> None:
        metrics.CONNECTIONS_OPEN.forget(self._label)


_RESULTS = ("made", "not_made", "reused", "retried")
