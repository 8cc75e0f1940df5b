"""`exchange top`: a running gateway's figures, live: what came in since the last look, and since it began."""

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

import httpx
from pydantic import SecretStr
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from exchange.errors import CommandError
from exchange.values.money import MICROS_PER_CENT, format_amount

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
    """Looks again and again until Ctrl-C, or twice. Raises CommandError where the gateway does not answer at first."""
    headers = {} if token is None else {"Authorization": f"Bearer {token.get_secret_value()}"}
    with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as client:
        first = _look(client, url)
        if once:
            time.sleep(every_s)
            console.print(view(first, _look(client, url)))
            return
        with Live(console=console, screen=True, auto_refresh=False) as live, suppress(KeyboardInterrupt):
            for shown in watch(lambda: _look(client, url), first, lambda: time.sleep(every_s)):
                live.update(shown, refresh=True)


def watch(look: Callable[[], Reading], before: Reading, pause: Callable[[], None]) -> Iterator[RenderableType]:
    """What is to be shown after each look. One that fails is said, above what was shown last."""
    shown: RenderableType = ""
    while True:
        pause()
        try:
            now = look()
        except CommandError as error:
            yield Group(Text(f"{error}; asked again ...", style="bold red"), shown)
            continue
        shown, before = view(before, now), now
        yield shown


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
    """All in 24 lines of 80. Rates are of the time between the two readings, sums since the exchange was started."""
    head = Table.grid(padding=(0, 4))
    head.add_row(_totals(before, now), _state(before, now))
    return Group(head, *_left_alone(now), "", _buyers(before, now))


def _look(client: httpx.Client, url: str) -> Reading:
    try:
        answer = client.get("/metrics")
    except httpx.HTTPError as error:
        raise CommandError(f"{url} does not answer: {type(error).__name__}") from error
    if not answer.is_success:
        raise CommandError(f"{url}/metrics answers {answer.status_code}; a gateway that is not near wants its token")
    return read(answer.text, time.monotonic())


def _totals(before: Reading, now: Reading) -> Table:
    table = _table("", "a second", "in all")

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
    return table


def _state(before: Reading, now: Reading) -> Table:
    table = _table("", "now")
    counts = [now.sum("exchange_processes", role=role) for role in ("gateway", "worker")]
    table.add_row("gateways, workers", "{:.0f}, {:.0f}".format(*counts))
    table.add_row("market version", f"{now.sum('exchange_market_version'):.0f}")
    slow_s = _quantile(_since(before, now, "exchange_ping_seconds_bucket", "").get("", {}))
    table.add_row("time of a ping, p95", _seconds(slow_s))
    in_hand, limit = now.sum("exchange_pings_in_hand"), now.sum("exchange_pings_in_hand_limit")
    table.add_row("pings in hand, of at most", f"{in_hand:,.0f}, {limit:,.0f}")
    table.add_row("unknown attempts", f"{now.sum('exchange_attempts_unknown'):,.0f}")
    if oldest_s := now.sum("exchange_attempts_unknown_age_seconds"):
        table.add_row("the oldest of them", f"{oldest_s / 3600:,.1f} h")
    if paused := now.sum("exchange_endpoints_paused"):
        table.add_row("paused endpoints", f"{paused:.0f}")
    return table


def _left_alone(now: Reading) -> list[RenderableType]:
    """A line of the breakers that are not closed, and a blank one before it, if there are any."""
    found = []
    for (name, labels), level in sorted(now.values.items(), key=lambda item: sorted(item[0][1])):
        if name == "exchange_breaker_state" and level > 0:
            its = dict(labels)
            state = "open" if level > 1 else "half open"
            found.append(f"{its.get('buyer')}.{its.get('endpoint')} {its.get('phase')}s ({state})")
    if not found:
        return []
    return ["", Text(f"left alone ({len(found)}): {', '.join(found)}", no_wrap=True, overflow="ellipsis")]


def _table(*columns: str) -> Table:
    """A table without lines: all names to the left, all figures to the right."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place else "left", no_wrap=True)
    return table


def _buyers(before: Reading, now: Reading) -> Table:
    table = _table("slowest buyers", "pings a second", "p95", "won", "accepted", "unknown")
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
        key: {bound: max(0.0, count - old.get(key, {}).get(bound, 0)) for bound, count in bounds.items()}
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
    return format_amount(round(micros / MICROS_PER_CENT) * MICROS_PER_CENT)
