"""The figures of all processes of one `exchange serve`: each counts on its own sheet, and any of them shows the sum."""

from collections.abc import Callable, Sequence

from exchange.observe.metrics import REGISTRY
from exchange.observe.sheet import Sheet, shared_descriptors


class Sheets:
    """The sheets of the processes that `serve` starts. One outlives its process: the next in its place counts on."""

    def __init__(self, count: int) -> None:
        self.descriptors = shared_descriptors(count)
        self._sheets = [Sheet.shared(descriptor, REGISTRY.making) for descriptor in self.descriptors]

    def words(self, own: int) -> list[str]:
        """What a child is told on its command line; it inherits the descriptors."""
        return ["--sheets", ",".join(map(str, self.descriptors)), "--own", str(own)]

    def closer(self, own: int) -> Callable[[], None]:
        """What is to be called when a child has ended: its counts stay, what it measured does not."""
        return self._sheets[own].close


def read_descriptors(text: str) -> list[int]:
    """The descriptors of `--sheets`."""
    return [int(part) for part in text.split(",") if part]


def share_figures(descriptors: Sequence[int], own: int | None) -> None:
    """Counts on a shared sheet from now on; on its own, where none was given."""
    if own is not None:
        REGISTRY.share([Sheet.shared(descriptor, REGISTRY.making) for descriptor in descriptors], own)
