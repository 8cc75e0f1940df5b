"""What load tests put on an exchange: how much of it at what moment, and what must hold meanwhile."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random


@dataclass(frozen=True, slots=True)
class Stage:
    """So many seconds, in which the load goes evenly from one level to another; 1.0 is the usual load."""

    seconds: float
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What must hold of the calm seller's answers. Wrong answers are never allowed.

    `shed_share_max` is how many of his requests may be answered 429 or 503, from 0 to 1. Times are to the last byte of
    an answer; those of the generator that does not wait are from the moment at which the request was due.
    """

    ping_p99_ms: float
    post_p99_ms: float
    shed_share_max: float = 0.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load over time. `flood` is that of a second seller, who heeds no refusal; buyers are slower by `slow_ms`.

    `agreed` is how much of the flood his own `rate` in the market lets in, 1.0 the usual load; 0: he has none.
    """

    name: str
    about: str
    stages: tuple[Stage, ...]
    limits: Limits
    flood: tuple[Stage, ...] = ()
    agreed: float = 0.0
    slow_ms: int = 0

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    def lasting(self, seconds: float) -> "Scenario":
        """The same in another time: every stage is longer or shorter by the same factor."""
        factor = seconds / self.seconds
        return replace(self, stages=_stretched(self.stages, factor), flood=_stretched(self.flood, factor))


def level_at(stages: tuple[Stage, ...], at_s: float) -> float:
    """How much load there is at a moment; none after the last stage."""
    for stage in stages:
        if at_s < stage.seconds:
            return stage.start + (stage.end - stage.start) * at_s / stage.seconds
        at_s -= stage.seconds
    return 0.0


def arrivals(stages: tuple[Stage, ...], per_s: float, random: Random) -> Iterator[float]:
    """The moments, in seconds from the beginning, at which independent sellers come: a Poisson process.

    `per_s` is how many come at the usual load. More than enough are drawn, and thinned to the level of their moment.
    """
    highest = max((max(stage.start, stage.end) for stage in stages), default=0.0)
    end_s, at_s = sum(stage.seconds for stage in stages), 0.0
    if highest * per_s <= 0:
        return
    while (at_s := at_s + random.expovariate(highest * per_s)) < end_s:
        if random.random() * highest < level_at(stages, at_s):
            yield at_s


def _stretched(stages: tuple[Stage, ...], factor: float) -> tuple[Stage, ...]:
    return tuple(replace(stage, seconds=stage.seconds * factor) for stage in stages)


_ALL = (
    Scenario(
        "steady",
        "an even load",
        (Stage(60, 1, 1),),
        Limits(ping_p99_ms=600, post_p99_ms=2_500, shed_share_max=0.01),
    ),
    Scenario(
        "campaign-start",
        "an advertisement goes on the air: a tenth of the load grows to twice of it",
        (Stage(10, 0.1, 0.1), Stage(35, 0.1, 2), Stage(15, 2, 2)),
        Limits(ping_p99_ms=1_000, post_p99_ms=3_000, shed_share_max=0.02),
    ),
    Scenario(
        "burst",
        "four times the load for three seconds, again and again",
        (Stage(9, 0.5, 0.5), Stage(3, 4, 4), Stage(3, 0.5, 0.5)) * 4,
        Limits(ping_p99_ms=2_000, post_p99_ms=4_000, shed_share_max=0.05),
    ),
    Scenario(
        "flood",
        "one seller sends four times what all should, eight times what he may, and heeds no refusal; another goes on",
        (Stage(60, 0.5, 0.5),),
        Limits(ping_p99_ms=1_000, post_p99_ms=3_000, shed_share_max=0.02),
        flood=(Stage(10, 0, 0), Stage(40, 4, 4), Stage(10, 0, 0)),
        agreed=0.5,
    ),
    Scenario(
        "slow-buyers",
        "every buyer takes 150 ms longer, so that some are too late",
        (Stage(60, 1, 1),),
        Limits(ping_p99_ms=800, post_p99_ms=3_000, shed_share_max=0.01),
        slow_ms=150,
    ),
    Scenario(
        "soak",
        "an even load for half an hour",
        (Stage(1_800, 1, 1),),
        Limits(ping_p99_ms=600, post_p99_ms=2_500, shed_share_max=0.01),
    ),
)

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
