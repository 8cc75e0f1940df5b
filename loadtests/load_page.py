"""The report of `make load`: one page that needs nothing else, and the same pictures as one PNG."""

import io
import math
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from samples import PERCENTILES, Check, Sample, percentile, times_ms
from scenarios import Scenario, level_at

from exchange.simulation.reconcile import Figures
from exchange.values.money import format_amount

INK, FAINT, GRID, BAND = "#1d2733", "#6b7885", "#e6eaee", "#f5f7f9"
BLUE, TEAL, AMBER, RED, VIOLET, GREY = "#2463b0", "#1d9a86", "#e09f1f", "#c8402f", "#7a5ab5", "#b4bec8"
AT_NIGHT = {
    INK: "#e4e9ee", FAINT: "#98a5b2", GRID: "#2c3742", BAND: "#1a222b", BLUE: "#6ea8ee", TEAL: "#36b9a4",
    AMBER: "#e8ae3c", RED: "#ee7564", VIOLET: "#ab8fe2", GREY: "#66737f",
}  # fmt: skip
"""The page's pictures take these where the reader's system is dark."""
OUTCOMES = {
    "ping": {"offered": TEAL, "unsold": GREY, "refused": VIOLET, "turned away": AMBER, "wrong": RED},
    "post": {"accepted": TEAL, "rejected": GREY, "pending": VIOLET, "turned away": AMBER, "wrong": RED},
}
STYLE: Any = {
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9.5, "text.color": INK,
    "axes.edgecolor": GRID, "axes.labelcolor": FAINT, "axes.titlesize": 12, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.titlepad": 12, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.8, "axes.axisbelow": True, "xtick.color": FAINT,
    "ytick.color": FAINT, "legend.frameon": False, "legend.fontsize": 9, "lines.linewidth": 1.7,
}  # fmt: skip
LEFT, LABEL_LEFT = 0.068, -0.055
"""Room for numbers and unit beside a picture, in parts of its width; where the unit is, in parts of the axes'."""
HEADROOM = 0.12
"""Room for the scenarios' names above all lines, in parts of their height."""
BUSY_PERCENT = 80
STYLES = Path(__file__).with_suffix(".css")


@dataclass(frozen=True, slots=True)
class Use:
    """What was in use at a moment, in per cent of one core: by the whole machine, and by parts of the run."""

    at_s: float
    machine: float
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a scenario went, from `began_s` of the run on; `own` are the calm seller's samples."""

    scenario: Scenario
    began_s: float
    samples: Sequence[Sample]
    own: Sequence[Sample]
    checks: Sequence[Check]


@dataclass(frozen=True, slots=True)
class Load:
    """A whole run; its moments are counted from the first scenario's beginning."""

    outcomes: Sequence[Outcome]
    uses: Sequence[Use]
    money: Sequence[Check]
    figures: Figures
    facts: Mapping[str, str]

    @property
    def checks(self) -> list[Check]:
        return [check for outcome in self.outcomes for check in outcome.checks] + list(self.money)

    @property
    def held(self) -> bool:
        return all(check.held for check in self.checks)


Painter = Callable[[Axes, Load], None]


def write(load: Load, folder: Path) -> Path:
    """Writes `index.html` and `load.png` into a folder; returns the page."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        pictures = [_svg(paint, load) for paint in PAINTERS]
        figure = Figure(figsize=(12, 3.3 * len(PAINTERS)))
        figure.subplots_adjust(left=LEFT, right=0.985, top=0.975, bottom=0.02, hspace=0.34)
        for axes, paint in zip(figure.subplots(len(PAINTERS), 1), PAINTERS, strict=True):
            paint(axes, load)
        figure.savefig(folder / "load.png", dpi=110)
    page = folder / "index.html"
    page.write_text(_page(load, pictures))
    return page


def _svg(paint: Painter, load: Load) -> str:
    figure = Figure(figsize=(11.4, 3.3))
    figure.subplots_adjust(left=LEFT, right=0.985, top=0.86, bottom=0.09)
    axes = figure.subplots()
    paint(axes, load)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", transparent=True)
    coded = b64encode(_for_day_and_night(drawn.getvalue()).encode()).decode()
    title = escape(axes.get_title(loc="left"))
    return f'<img alt="{title}" src="data:image/svg+xml;base64,{coded}">'


def _for_day_and_night(drawn: str) -> str:
    """The same picture in variables instead of colours, with what they are by day and by night."""
    names = {colour: f"--c{index}" for index, colour in enumerate(AT_NIGHT)}
    for colour, name in names.items():
        drawn = drawn.replace(colour, f"var({name})")
    day = "".join(f"{name}:{colour};" for colour, name in names.items())
    night = "".join(f"{names[colour]}:{other};" for colour, other in AT_NIGHT.items())
    style = f"<style>svg{{{day}}}@media (prefers-color-scheme:dark){{svg{{{night}}}}}</style>"
    return drawn.replace("</svg>", f"{style}</svg>")


# Pictures


def _throughput(axes: Axes, load: Load) -> None:
    """How many leads were due, and how many requests were answered, each second."""
    due, answered = Counter[int](), Counter[int]()
    for outcome in load.outcomes:
        for sample in outcome.samples:
            if sample.what == "ping":
                due[int(outcome.began_s + sample.at_s)] += 1
            answered[int(outcome.began_s + sample.at_s + sample.took_ms / 1000)] += 1
    seconds = _seconds(load)
    axes.fill_between(seconds, [due[second] for second in seconds], color=BLUE, alpha=0.18, lw=0, label="leads due")
    axes.plot(seconds, [answered[second] for second in seconds], color=BLUE, label="pings and posts answered")
    _finish(axes, load, "Throughput", "a second", legend=2)


def _latency(what: str) -> Painter:
    """The percentiles of each second's requests, on a logarithmic scale."""

    def paint(axes: Axes, load: Load) -> None:
        found: dict[int, list[Sample]] = defaultdict(list)
        for outcome in load.outcomes:
            for sample in outcome.own:
                found[int(outcome.began_s + sample.at_s)].append(sample)
        seconds = _seconds(load)
        for share, colour, width in ((50, TEAL, 1.7), (90, AMBER, 1.5), (99, RED, 1.3)):
            line = [percentile(times_ms(found[second], what), share) for second in seconds]
            axes.plot(seconds, line, color=colour, lw=width, label=f"p{share}")
        for outcome in load.outcomes:
            limits = outcome.scenario.limits
            limit = limits.ping_p99_ms if what == "ping" else limits.post_p99_ms
            end_s = outcome.began_s + outcome.scenario.seconds
            axes.hlines(limit, outcome.began_s, end_s, color=INK, lw=1.1, ls=(0, (2, 2)))
        axes.plot([], [], color=INK, lw=1.1, ls=(0, (2, 2)), label="limit of p99")
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * (high / low) ** HEADROOM)
        _finish(axes, load, f"Time of a {what}, from when it was due", "ms", legend=4, floor=None)

    return paint


def _outcomes(what: str) -> Painter:
    """What each second's requests were answered."""

    def paint(axes: Axes, load: Load) -> None:
        found: dict[str, Counter[int]] = defaultdict(Counter)
        for outcome in load.outcomes:
            for sample in outcome.samples:
                if sample.what == what:
                    found[sample.outcome][int(outcome.began_s + sample.at_s)] += 1
        colours = {name: colour for name, colour in OUTCOMES[what].items() if found[name]}
        seconds = _seconds(load)
        if colours:
            rows = [[found[name][second] for second in seconds] for name in colours]
            labels = [f"{name} {found[name].total():,}" for name in colours]
            axes.stackplot(seconds, rows, labels=labels, colors=list(colours.values()), lw=0, step="mid")
        _finish(axes, load, f"What {what}s were answered, both sellers", "a second", legend=5)

    return paint


def _processors(axes: Axes, load: Load) -> None:
    """What was in use."""
    times = [use.at_s for use in load.uses]
    axes.fill_between(times, [use.machine for use in load.uses], color=GREY, alpha=0.35, lw=0, label="the machine")
    for name, colour in (("gateway", BLUE), ("buyers", VIOLET), ("load", AMBER)):
        axes.plot(times, [use.parts[name] for use in load.uses], color=colour, lw=1.3, label=name)
    _finish(axes, load, "Processor time", "% of a core", legend=4)


PAINTERS: tuple[Painter, ...] = (
    _throughput, _latency("ping"), _latency("post"), _outcomes("ping"), _outcomes("post"), _processors,
)  # fmt: skip


def _seconds(load: Load) -> list[int]:
    return list(range(math.ceil(_end_s(load))))


def _end_s(load: Load) -> float:
    return load.outcomes[-1].began_s + load.outcomes[-1].scenario.seconds


def _finish(axes: Axes, load: Load, title: str, unit: str, *, legend: int, floor: float | None = 0.0) -> None:
    """What all pictures have: the scenarios as bands with their names, a title, a unit, and a legend above."""
    for index, outcome in enumerate(load.outcomes):
        end_s = outcome.began_s + outcome.scenario.seconds
        if index % 2 == 0:
            axes.axvspan(outcome.began_s, end_s, color=BAND, zorder=-2, lw=0)
        middle = outcome.began_s + outcome.scenario.seconds / 2
        place = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "top"}
        axes.annotate(outcome.scenario.name, (middle, 0.985), color=FAINT, fontsize=8.5, **place)  # type: ignore[arg-type]
        flooded = [at for at in range(math.ceil(outcome.scenario.seconds)) if level_at(outcome.scenario.flood, at)]
        if flooded:
            axes.axvspan(outcome.began_s + flooded[0], outcome.began_s + flooded[-1] + 1, ymax=0.015, color=AMBER, lw=0)
    axes.set_xlim(0, _end_s(load))
    if floor is not None:
        axes.set_ylim(floor, axes.get_ylim()[1] * (1 + HEADROOM))
    axes.set_title(title)
    axes.set_ylabel(unit)
    axes.yaxis.set_label_coords(LABEL_LEFT, 0.5)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} s")
    axes.grid(visible=False, axis="x")
    axes.legend(ncols=legend, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)


# The page


def _page(load: Load, pictures: Sequence[str]) -> str:
    failed = sum(not check.held for check in load.checks)
    verdict = "Everything held" if load.held else f"{failed} of {len(load.checks)} did not hold"
    mood = "ok" if load.held else "bad"
    parts = [
        f'<header><p class="small">Lead exchange · load test</p><h1 class="{mood}">{verdict}</h1>',
        f"<p>{_headline(load)}</p></header>",
        *(f"<figure>{picture}</figure>" for picture in pictures),
        "<h2>What had to hold</h2>",
        *(_scenario(outcome) for outcome in load.outcomes),
        "<h2>The money</h2>",
        _checks(load.money),
        _rows(_money(load.figures)),
        "<h2>The machine</h2>",
        _rows(load.facts),
        f'<p class="small">{NOTE}</p>',
    ]
    head = (
        f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Load test: {verdict}</title>'
    )
    style = f"<style>{STYLES.read_text()}</style>"
    return f'<!doctype html><html lang="en">{head}{style}<main>{"".join(parts)}</main></html>\n'


def _headline(load: Load) -> str:
    samples = [sample for outcome in load.outcomes for sample in outcome.samples]
    seconds = sum(outcome.scenario.seconds for outcome in load.outcomes)
    pings = sum(sample.what == "ping" for sample in samples)
    wrong = sum(sample.outcome == "wrong" for sample in samples)
    return (
        f"{pings:,} pings and {len(samples) - pings:,} posts in {seconds:,.0f} seconds, "
        f"{load.figures.accepted:,} sales for {_usd(load.figures.gross_micros)}, "
        f"{wrong or 'no'} wrong answer{'' if wrong == 1 else 's'}.{_busy(load.uses)}"
    )


def _busy(uses: Sequence[Use]) -> str:
    """A warning where programs that have nothing to do with this took much of the machine: then times mean little."""
    others = sum(max(0.0, use.machine - sum(use.parts.values())) for use in uses) / max(1, len(uses))
    if others < BUSY_PERCENT:
        return ""
    return f" Postgres, Valkey and other programs used {others:,.0f} % of a core meanwhile: see the last picture."


def _scenario(outcome: Outcome) -> str:
    rows = []
    for what in ("ping", "post"):
        times = times_ms(outcome.own, what)
        cells = "".join(f"<td>{percentile(times, share):,.0f}</td>" for share in PERCENTILES)
        rows.append(f"<tr><td>{what}s, ms</td><td>{len(times):,}</td>{cells}</tr>")
    head = "".join(f"<th>{'max' if share == 100 else f'p{share:g}'}</th>" for share in PERCENTILES)
    table = f'<table class="figures"><tr><th></th><th>count</th>{head}</tr>{"".join(rows)}</table>'
    about = f"<h3>{escape(outcome.scenario.name)}</h3><p>{escape(outcome.scenario.about.capitalize())}.</p>"
    return f'<section>{about}<div class="pair">{_checks(outcome.checks)}{table}</div></section>'


def _checks(checks: Sequence[Check]) -> str:
    rows = [
        f'<tr><td><b class="{"ok" if check.held else "bad"}">{"held" if check.held else "failed"}</b></td>'
        f"<td>{escape(check.name)}</td><td>{escape(check.limit)}</td><td>{escape(check.found)}</td></tr>"
        for check in checks
    ]
    return f'<table class="checks"><tr><th></th><th></th><th>limit</th><th>found</th></tr>{"".join(rows)}</table>'


def _rows(facts: Mapping[str, str]) -> str:
    rows = [f"<tr><th>{escape(name)}</th><td>{escape(said)}</td></tr>" for name, said in facts.items()]
    return f'<table class="facts">{"".join(rows)}</table>'


def _money(figures: Figures) -> dict[str, str]:
    failures = ", ".join(f"{count} {what}" for what, count in figures.buyer_failures.items())
    return {
        "Sales": f"{figures.accepted:,} of {figures.posts:,} posts; {figures.rejected:,} rejected, "
        f"{figures.pending:,} unknown",
        "Gross": f"{_usd(figures.gross_micros)} charged to buyers",
        "Payout": f"{_usd(figures.payout_micros)} owed to sellers",
        "Margin": f"{_usd(figures.margin_micros)} for the exchange",
        "Buyers' failures": failures or "none",
    }


def _usd(micros: int) -> str:
    return f"{Decimal(format_amount(micros)):,} USD"


NOTE = (
    "Arrivals are a Poisson process drawn from the seed, and do not wait for answers. A request's time runs from the "
    "moment at which it was due. Limits and percentiles are those of the calm seller, times without what was turned "
    "away (429 or 503); a flooding seller has to be answered rightly, and refused what is above his own rate. The "
    "amber line below is his flood. Witnesses are the sellers, the buyers' own logs and Postgres."
)
