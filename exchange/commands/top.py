"""`exchange top`: a running gateway's figures, live: what came in since the last look, and since it began."""

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import httpx
from pydantic import SecretStr
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table

from exchange.errors import CommandError
from exchange.values.money import format_amount

BUYERS_SHOWN = 8
SLOW_SHARE = 0.95
TIMEOUT_S = 5.0

_LABEL = re.compile(r'(\w+)="([^"]*)"')  # keys of the market and names of closed lists: nothing is escaped

Series = tuple[str, frozenset[tuple[str, str]]]


class Reading(NamedTuple):
    """What `/metrics` said at a moment."""

    at_s: float
    values: Mapping[Series, float]

    def sum(self, name: str, **labels: str) -> float:
        """The sum of the series of that name that have these labels."""
        wanted = set(labels.items())
        return math.fsum(value for (found, its), value in self.values.items() if found == name and wanted <= its)

    def by(self, name: str, label: str) -> dict[str, dict[str, float]]:
        """The series of a name by the value of one label, then by that of `le`, empty where there is none."""
        found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for (its_name, labels), value in self.values.items():
            if its_name == name:
                its = dict(labels)
                found[its.get(label, "")][its.get("le", "")] += value
        return found


def run(console: Console, *, url: str, every_s: float, once: bool, token: SecretStr | None) -> None:
    """Looks again and again until Ctrl-C, or twice. Raises CommandError where the gateway does not answer."""
    headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
    with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
        before = _look(client, url)
        if once:
            time.sleep(every_s)
            console.print(view(before, _look(client, url)))
            return
        with Live(console=console, screen=True, auto_refresh=False) as live:
            try:
                while True:
                    time.sleep(every_s)
                    now = _look(client, url)
                    live.update(view(before, now), refresh=True)
                    before = now
            except KeyboardInterrupt:
                return


def read(text: str, at_s: float) -> Reading:
    """Reads the Prometheus text format, as far as `/metrics` uses it."""
    values: dict[Series, float] = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            name, _, labels = series.partition("{")
            values[name, frozenset(_LABEL.findall(labels))] = float(value)
    return Reading(at_s, values)


def view(before: Reading, now: Reading) -> RenderableType:
    """Both tables. Rates are of the time between the two readings, sums since the exchange was started."""
    return Group(_totals(before, now), _buyers(before, now))


def _look(client: httpx.Client, url: str) -> Reading:
    try:
        answer = client.get("/metrics")
    except httpx.HTTPError as error:
        raise CommandError(f"{url} does not answer: {type(error).__name__}") from error
    if not answer.is_success:
        raise CommandError(f"{url}/metrics answers {answer.status_code}; a gateway that is not near wants its token")
    return read(answer.text, time.monotonic())


def _totals(before: Reading, now: Reading) -> Table:
    table = Table("", "a second", "in all", title="Exchange", title_justify="left")

    def row(name: str, metric: str, show: Callable[[float], str] = "{:,.0f}".format, **labels: str) -> None:
        total = now.sum(metric, **labels)
        rate = max(0.0, total - before.sum(metric, **labels)) / max(now.at_s - before.at_s, 1e-9)
        table.add_row(name, _money(rate) if show is _money else f"{rate:,.1f}", show(total))

    row("pings", "exchange_pings_total")
    row("offers", "exchange_pings_total", status="offered")
    row("posts", "exchange_posts_total")
    row("sales", "exchange_sales_total")
    for part in ("gross", "payout", "margin"):
        row(part, "exchange_sales_micros_total", _money, part=part)
    row("errors", "exchange_problems_total")
    row("refused", "exchange_requests_shed_total")
    table.add_section()
    for name, value in _state(before, now):
        table.add_row(name, "", value)
    return table


def _state(before: Reading, now: Reading) -> Iterable[tuple[str, str]]:
    counts = [now.sum("exchange_processes", role=role) for role in ("gateway", "worker")]
    yield "gateways, workers", "{:.0f}, {:.0f}".format(*counts)
    yield "market version", f"{now.sum('exchange_market_version'):.0f}"
    slow_s = _quantile(_since(before, now, "exchange_ping_seconds_bucket", "").get("", {}))
    yield "time of a ping, p95", _seconds(slow_s)
    in_hand, limit = now.sum("exchange_pings_in_hand"), now.sum("exchange_pings_in_hand_limit")
    yield "pings in hand, of at most", f"{in_hand:,.0f}, {limit:,.0f}"
    yield "unknown attempts", f"{now.sum('exchange_attempts_unknown'):.0f}"
    if left_alone := list(_left_alone(now)):
        yield "left alone", ", ".join(left_alone)
    if paused := now.sum("exchange_endpoints_paused"):
        yield "paused endpoints", f"{paused:.0f}"
    if oldest_s := now.sum("exchange_attempts_unknown_age_seconds"):
        yield "the oldest of them", f"{oldest_s / 3600:.1f} h"


def _left_alone(now: Reading) -> Iterable[str]:
    """The breakers that are not closed."""
    for (name, labels), level in sorted(now.values.items(), key=lambda item: sorted(item[0][1])):
        if name == "exchange_breaker_state" and level > 0:
            its = dict(labels)
            state = "open" if level > 1 else "half open"
            yield f"{its.get('buyer')}.{its.get('endpoint')} {its.get('phase')}s ({state})"


def _buyers(before: Reading, now: Reading) -> Table:
    table = Table("buyer", "pings a second", "p95", "won", "accepted", "unknown", title="Slowest buyers")
    table.title_justify = "left"
    recent = _since(before, now, "exchange_buyer_ping_seconds_bucket", "buyer")
    slowest = sorted(recent, key=lambda buyer: (-_quantile(recent[buyer]), buyer))
    for buyer in [buyer for buyer in slowest if recent[buyer].get("+Inf")][:BUYERS_SHOWN]:
        counts = [
            now.sum("exchange_buyer_pings_total", buyer=buyer, reason="won"),
            now.sum("exchange_buyer_posts_total", buyer=buyer, reason="accepted"),
            now.sum("exchange_buyer_posts_total", buyer=buyer, reason="unknown"),
        ]
        rate = recent[buyer]["+Inf"] / max(now.at_s - before.at_s, 1e-9)
        shown = [f"{count:,.0f}" for count in counts]
        table.add_row(buyer, f"{rate:,.1f}", _seconds(_quantile(recent[buyer])), *shown)
    return table


def _since(before: Reading, now: Reading, name: str, label: str) -> dict[str, dict[str, float]]:
    old, new = before.by(name, label), now.by(name, label)
    return {
        key: {bound: count - old.get(key, {}).get(bound, 0) for bound, count in bounds.items()}
        for key, bounds in new.items()
    }


def _quantile(buckets: Mapping[str, float]) -> float:
    """The bound under which 95 of 100 fell; 0 where there were none, infinite where it is above all bounds."""
    total = buckets.get("+Inf", 0)
    for bound in sorted(map(float, buckets)):
        name = "+Inf" if math.isinf(bound) else str(bound)
        if total and buckets[name] >= SLOW_SHARE * total:
            return bound
    return 0.0


def _seconds(bound_s: float) -> str:
    if not bound_s:
        return "-"
    return "more" if math.isinf(bound_s) else f"< {bound_s * 1000:g} ms"


def _money(micros: float) -> str:
    return format_amount(round(micros))
