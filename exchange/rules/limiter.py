"""How many pings a gateway may have in hand at a time: fewer when work stands in line, more when it does not.

In hand is a ping at which the gateway or its database is to work. One that waits for its buyers is not: a slow buyer
costs no capacity. The limit is let down by what shows that work stands in line: the event loop runs late most of the
time, or pings take much longer here than they usually do.
"""

from enum import StrEnum
from typing import NamedTuple

RISE = 1.1
"""What the limit grows by after each window in which it held pings back, and nothing was strained."""
REST = 100.0
"""Where it is at first, and where it goes when it holds nobody back: it is not known whether more could be borne."""
TO_REST = 1.02
"""How fast it goes there in each window."""
FALL_MOST = 0.7
"""The most that it falls in one window: to this part."""
USUAL_TIMES = 3.0
"""A ping that takes so many times its usual time here stands in line; on a slow disk the usual time is long."""
USUAL_RISE = 1.0005
"""What the usual time grows by in each window: it is the shortest of the last minutes, not of all times."""


class Strain(StrEnum):
    """What let the limit down."""

    LOOP_LAG = "loop_lag"
    OWN_TIME = "own_time"


class Bounds(NamedTuple):
    """The limit is never below `least` nor above `most`; times above these targets are a strain."""

    least: int
    most: int
    lag_ms: float
    own_ms: float


class Window(NamedTuple):
    """What was seen for a tenth of a second: `lag_ms` is the median, `own_ms` a ping's mean here, `in_hand` the most.

    `held_back` says whether any ping had to wait to be let in.
    """

    lag_ms: float
    own_ms: float | None
    in_hand: int
    held_back: bool


class Limit(NamedTuple):
    """The limit in force, the usual time of a ping here, and what let it down last."""

    at: float
    usual_ms: float | None = None
    strain: Strain = Strain.LOOP_LAG


def adjusted(limit: Limit, seen: Window, bounds: Bounds) -> Limit:
    """The limit for the next window."""
    usual_ms = _usual(limit.usual_ms, seen.own_ms)
    strain, times = _strain(seen, usual_ms, bounds)
    if times <= 1:
        at = limit.at * RISE if seen.held_back else _towards(limit.at, REST)
        return Limit(min(float(bounds.most), at), usual_ms, limit.strain)
    if seen.in_hand <= bounds.least:
        return limit._replace(usual_ms=usual_ms)  # so few are not what strains the gateway
    fallen = min(limit.at, seen.in_hand) * max(FALL_MOST, 1 / times)
    return Limit(max(float(bounds.least), fallen), usual_ms, strain)


def _towards(at: float, rest: float) -> float:
    return min(rest, at * TO_REST) if at < rest else max(rest, at / TO_REST)


def _usual(usual_ms: float | None, own_ms: float | None) -> float | None:
    if usual_ms is None or own_ms is None:
        return own_ms if usual_ms is None else usual_ms
    return min(usual_ms * USUAL_RISE, own_ms)


def _strain(seen: Window, usual_ms: float | None, bounds: Bounds) -> tuple[Strain, float]:
    """What is strained most, and by how many times."""
    lag = seen.lag_ms / bounds.lag_ms
    own = 0.0
    if seen.own_ms is not None:
        own = seen.own_ms / max(bounds.own_ms, USUAL_TIMES * (usual_ms or 0.0))
    return (Strain.LOOP_LAG, lag) if lag >= own else (Strain.OWN_TIME, own)
