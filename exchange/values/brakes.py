"""What a market says of how an endpoint is spared: by breakers, and by limits on requests. None: as usual."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerWish:
    """What an endpoint's breakers go by; what is None, the settings say.

    A `shadow` breaker only says what it would do. `calls_min` and `window_s` are for pings, others for posts.
    """

    enabled: bool = True
    shadow: bool | None = None
    failed_percent: int | None = None
    calls_min: int | None = None
    post_calls_min: int | None = None
    window_s: int | None = None
    post_window_s: int | None = None
    rest_first_s: int | None = None
    probe_percent: int | None = None
    pause_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests may come a second, and how many at once after a pause."""

    per_s: int
    burst: int
