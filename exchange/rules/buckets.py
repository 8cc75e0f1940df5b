"""Token buckets: how often something may happen, on average and at once. The time comes in, in seconds of any clock."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """Fills by `per_s` tokens a second up to `burst`, which is at least one; it is full at first."""

    per_s: float
    burst: float
    _tokens: float = field(init=False)
    _at_s: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.burst = max(1.0, self.burst)
        self._tokens = self.burst

    def take(self, now_s: float) -> bool:
        """Takes a token, if there is one. A clock that goes back fills nothing, and takes nothing away."""
        self._fill(now_s)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def wait_s(self, now_s: float) -> float:
        """How long it takes until there is a token."""
        self._fill(now_s)
        return max(0.0, 1.0 - self._tokens) / self.per_s

    def change(self, per_s: float, burst: float, now_s: float) -> None:
        """Goes on with other numbers; what was taken stays taken."""
        self._fill(now_s)
        self.per_s, self.burst = per_s, max(1.0, burst)
        self._tokens = min(self._tokens, self.burst)

    def _fill(self, now_s: float) -> None:
        passed_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._tokens = min(self.burst, self._tokens + passed_s * self.per_s)
        self._at_s = now_s
