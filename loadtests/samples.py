"""What a load test measured, worked out: percentiles, shares, and whether the limits of a scenario held."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scenarios import Limits

from exchange.values.brakes import Rate

SHED, WRONG = "turned away", "wrong"
RATE_LIMITED = "rate_limited"
"""The code of a refusal for a seller's own rate."""
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)


class Sample(NamedTuple):
    """One request. `at_s` is when it was due, from the beginning of the run; `took_ms` is from then to its answer.

    `what` is ping or post, `outcome` the answer's status, SHED or WRONG; `late_ms` is from then to its sending.
    `detail` says what is wrong, or with which code it was turned away.
    """

    what: str
    seller: str
    at_s: float
    took_ms: float
    outcome: str
    late_ms: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that had to hold, and whether it did."""

    name: str
    limit: str
    found: str
    held: bool


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The least value that `share` per cent of all do not exceed; NaN of none. The values come sorted."""
    if not sorted_values:
        return math.nan
    return sorted_values[max(0, math.ceil(len(sorted_values) * share / 100) - 1)]


def times_ms(samples: Iterable[Sample], what: str) -> list[float]:
    """How long requests of a kind took, sorted; those that were turned away are no measure of selling."""
    return sorted(sample.took_ms for sample in samples if sample.what == what and sample.outcome != SHED)


def checks(samples: Sequence[Sample], limits: Limits) -> list[Check]:
    """What a scenario asks of the calm seller's samples; that there is something to judge is one of them."""
    count, shed = len(samples), sum(sample.outcome == SHED for sample in samples)
    wrong = Counter(sample.detail for sample in samples if sample.outcome == WRONG)
    sold = sum(sample.outcome == "accepted" for sample in samples)
    share = shed / count if count else 0.0
    found = [
        Check("sales", "at least 1", str(sold), sold > 0),
        Check("wrong answers", "0", _said(wrong), not wrong),
        Check("turned away", f"at most {limits.shed_share_max:.1%}", f"{share:.1%}", share <= limits.shed_share_max),
    ]
    for what, limit_ms in (("ping", limits.ping_p99_ms), ("post", limits.post_p99_ms)):
        p99_ms = percentile(times_ms(samples, what), 99)
        found.append(Check(f"{what} p99", f"at most {limit_ms:,.0f} ms", f"{p99_ms:,.0f} ms", p99_ms <= limit_ms))
    return found


def flood_checks(samples: Sequence[Sample], rate: Rate | None, shed_share_max: float) -> list[Check]:
    """What is asked of a flooding seller's samples: right answers, and refusals of all that is above his own `rate`.

    Pings and posts are counted apart, as the exchange does. As many as of others' requests may be refused otherwise.
    """
    wrong = Counter(sample.detail for sample in samples if sample.outcome == WRONG)
    found = [Check("wrong, flood", "0", _said(wrong), not wrong)]
    if rate is None:
        return found
    for what in ("ping", "post"):
        sent = [sample for sample in samples if sample.what == what]
        let_in = sum(sample.outcome != SHED for sample in sent)
        most = rate.burst + math.ceil(rate.per_s * _lasted_s(sent))
        found.append(
            Check(f"{what}s let in, flood", f"at most {most:,}", f"{let_in:,} of {len(sent):,}", let_in <= most)
        )
    codes = Counter(sample.detail for sample in samples if sample.outcome == SHED)
    said = ", ".join(f"{count:,} {code}" for code, count in codes.most_common()) or "none"
    otherwise = codes.total() - codes[RATE_LIMITED]
    held = codes[RATE_LIMITED] > 0 and otherwise <= shed_share_max * len(samples)
    found.append(Check("turned away, flood", f"by his rate, or {shed_share_max:.1%}", said, held))
    return found


def _lasted_s(samples: Sequence[Sample]) -> float:
    """From when the first of them was due until the last was answered: no gateway can have seen them for longer."""
    if not samples:
        return 0.0
    return max(one.at_s + one.took_ms / 1000 for one in samples) - min(one.at_s for one in samples)


def table(found: Iterable[Check]) -> str:
    """The checks as text, one a line."""
    return "\n".join(
        f"{'ok    ' if check.held else 'FAILED'}  {check.name:<19} {check.limit:<20} {check.found}" for check in found
    )


def spread(samples: Sequence[Sample], what: str) -> str:
    """The percentiles of a kind of request in one line."""
    times = times_ms(samples, what)
    parts = [f"{'max' if share == 100 else f'p{share:g}'} {percentile(times, share):,.1f}" for share in PERCENTILES]
    return f"{what}: {len(times)} answered, ms: " + ", ".join(parts)


def _said(wrong: Counter[str]) -> str:
    most = "; ".join(f"{count} x {what}" for what, count in wrong.most_common(3))
    return f"{wrong.total()}: {most}" if wrong else "0"
