"""Pictures of the dashboards for docs/operate/: a demo world, a real Prometheus, and each panel's own queries.

Grafana is not needed: the panels are drawn where their dashboard puts them. A panel without data is a defect, unless it
is one of those that show nothing while nothing is wrong.
"""

import argparse
import asyncio
import io
import json
import math
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import matplotlib as mpl
from load import CALM, CAMPAIGNS, FLOODING, buyers, demo_world
from load_page import AMBER, BLUE, FAINT, GREY, INK, RED, STYLE, TEAL, VIOLET
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from open_loop import Part, run
from PIL import Image
from scenarios import Limits, Scenario, Stage

from exchange.commands.beside import prometheus

ROOT = Path(__file__).resolve().parent.parent
DASHBOARDS = ROOT / "deploy/grafana/dashboards"
PICTURES = ROOT / "docs/operate/pictures"
VARIABLES = {"$__rate_interval": "30s", "$job": "exchange", "$campaign": ".*", "$buyer": ".*"}
STEP_S = 3
COLOURS = (BLUE, TEAL, AMBER, VIOLET, RED, "#5aa9d6", "#8aa53b", "#d77fa1", "#8d6e53", GREY, "#33475b", "#b58ad0")
COLUMN_IN, ROW_IN = 0.5, 0.27
SERIES_MAX = len(COLOURS)
LEGEND_ROWS_MAX = 5
INKS = 128
"""So many colours are enough, and make a file of a third."""
LEGEND: Any = {
    "loc": "upper left", "fontsize": 7.2, "handlelength": 1.0, "columnspacing": 1.0, "labelspacing": 0.35,
    "handletextpad": 0.4, "borderaxespad": 0.1,
}  # fmt: skip
QUIET = frozenset(
    {
        "buyers: Questions what became of an attempt",  # no buyer of the demo can be asked
        "buyers: Waiting for a connection, by address",
        "engine: Outbox: sent, failed, given up",
        "engine: Outbox: rows that wait, and that were given up",
        "engine: Outbox: age of the oldest that waits",
        "engine: Requests shed",
        "sellers: Orders that could not have the lead",  # unless a buyer of the demo has run out of money
        "sellers: Requests shed",
    }
)
"""Panels that show nothing while nothing is wrong, or nothing is used of what they show."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series of a panel, by moments in seconds from the beginning of the picture."""

    name: str
    times: Sequence[float]
    values: Sequence[float]


def day(seconds: float) -> Scenario:
    """A load that comes and goes, for pictures."""
    levels = ((0.25, 0.4, 1.0), (0.2, 1.0, 1.6), (0.1, 1.6, 0.7), (0.2, 0.7, 0.9), (0.15, 1.4, 1.2), (0.1, 0.6, 0.5))
    stages = tuple(Stage(seconds * share, start, end) for share, start, end in levels)
    return Scenario("day", "a load that comes and goes", stages, Limits(math.inf, math.inf, 1.0))


@contextmanager
def watched(url: str, folder: Path) -> Iterator[str]:
    """Prometheus beside a gateway, kept running by a thread of its own; its address."""
    loop, begun, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[str] = []

    async def keep() -> None:
        try:
            async with prometheus(url, folder) as address:
                found.append(address)
                begun.set()
                await stop.wait()
        finally:
            begun.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(keep()), name="prometheus")
    thread.start()
    begun.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


@contextmanager
def mistakes(url: str, key: str) -> Iterator[None]:
    """A seller who is wrong now and then, as some always are."""
    stop = threading.Event()

    def err() -> None:
        with httpx.Client(base_url=url, trust_env=False, headers={"Authorization": f"Bearer {key}"}) as client:
            while not stop.wait(1.5):
                client.post("/v1/ping", json={"campaign": "nowhere", "lead": {}})
                client.post("/v1/ping", json={"campaign": "auto-us", "lead": {"zip": "no", "age": 5}})
                client.post("/v1/post", json={"ping_id": "no", "lead": {}})

    thread = threading.Thread(target=err, name="mistakes")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def lines_of(client: httpx.Client, target: dict[str, Any], begin_s: float, end_s: float) -> list[Line]:
    """What a query finds over the run."""
    query = target["expr"]
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    asked = {"query": query, "start": str(begin_s), "end": str(end_s), "step": f"{STEP_S}s"}
    answer = client.get("/api/v1/query_range", params=asked).json()
    if answer["status"] != "success":
        raise SystemExit(f"{query}: {answer}")
    found = []
    for series in answer["data"]["result"]:
        pairs = [(float(at) - begin_s, float(value)) for at, value in series["values"]]
        points = [(at, value) for at, value in pairs if math.isfinite(value)]
        if points:
            name = legend(target.get("legendFormat", ""), series["metric"])
            found.append(Line(name, *zip(*points, strict=True)))
    return sorted(found, key=lambda line: -max(line.values))


def legend(text: str, labels: dict[str, str]) -> str:
    """A series' name, as the panel words it."""
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), text)


def said(value: float, unit: str | None) -> str:
    """A value as the panel's unit has it."""
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    if unit == "bytes":
        return f"{value / 2**20:,.0f} MiB"
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{text}/s" if unit in {"reqps", "ops"} else text


def draw(board: dict[str, Any], found: dict[int, list[Line]], seconds: float, path: Path) -> None:
    """One dashboard as one picture, its panels where the dashboard has them."""
    panels = board["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    width, height = 24 * COLUMN_IN, rows * ROW_IN + 0.75
    figure = Figure(figsize=(width, height), facecolor="#f4f6f8")
    figure.text(0.25 / width, 1 - 0.22 / height, board["title"], va="top", size=15, weight="bold", color=INK)
    for panel in panels:
        place = panel["gridPos"]
        left, top = place["x"] * COLUMN_IN, 0.6 + place["y"] * ROW_IN
        box = (left, height - top - place["h"] * ROW_IN, place["w"] * COLUMN_IN, place["h"] * ROW_IN)
        if panel["type"] == "row":
            at = ((left + 0.25) / width, (box[1] + 0.09) / height)
            figure.text(*at, panel["title"], va="bottom", size=10.5, weight="bold", color=FAINT)
        else:
            _panel(figure, panel, found[panel["id"]], box, seconds)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=90)
    Image.open(drawn).convert("RGB").quantize(INKS).save(path, optimize=True)


def _panel(
    figure: Figure, panel: dict[str, Any], lines: list[Line], box: tuple[float, float, float, float], seconds: float
) -> None:
    """A white card with a title, and what the panel shows."""
    width, height = figure.get_size_inches()
    left, bottom, wide, high = box[0] + 0.1, box[1] + 0.06, box[2] - 0.14, box[3] - 0.1
    card = figure.add_axes((left / width, bottom / height, wide / width, high / height), facecolor="white")
    card.set(xticks=[], yticks=[])
    card.grid(visible=False)
    for spine in card.spines.values():
        spine.set(visible=True, color="#dfe4e9")
    card.text(0.12 / wide, 1 - 0.1 / high, panel["title"], va="top", size=9.5, weight="bold", transform=card.transAxes)
    unit = panel["fieldConfig"]["defaults"].get("unit")
    if not lines:
        card.text(0.5, 0.42, "nothing to show", ha="center", color=FAINT, size=9, transform=card.transAxes)
    elif panel["type"] == "stat":
        value = said(lines[0].values[-1], unit)
        card.text(0.5, 0.36, value, ha="center", va="center", size=19, color=BLUE, transform=card.transAxes)
    elif panel["type"] == "table":
        rows = [f"{line.name}   {said(line.values[-1], unit)}" for line in sorted(lines, key=lambda line: line.name)]
        for index, part in enumerate((rows[0::3], rows[1::3], rows[2::3])):
            at = (0.02 + index / 3, 1 - 0.4 / high)
            card.text(*at, "\n".join(part), va="top", size=7.5, linespacing=1.5, transform=card.transAxes)
    else:
        longest = max(len(line.name) for line in lines)
        columns = max(1, int((wide - 0.2) / (0.4 + 0.066 * longest)))
        named = min(math.ceil(min(len(lines), SERIES_MAX) / columns), LEGEND_ROWS_MAX)
        lines = [line if index < named * columns else replace(line, name="") for index, line in enumerate(lines)]
        legend_in = 0.155 * named + 0.06
        inner = (left + 0.62, bottom + legend_in + 0.24, wide - 0.78, high - legend_in - 0.6)
        axes = figure.add_axes((inner[0] / width, inner[1] / height, inner[2] / width, inner[3] / height))
        _series(axes, panel, lines, unit, seconds)
        if longest:
            offset = -(0.24 / inner[3])
            axes.legend(ncols=columns, bbox_to_anchor=(-0.5 / inner[2], offset), **LEGEND)


def _series(axes: Axes, panel: dict[str, Any], lines: list[Line], unit: str | None, seconds: float) -> None:
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    shown = lines[:SERIES_MAX]
    if custom.get("stacking", {}).get("mode") == "normal":
        moments = sorted({at for line in shown for at in line.times})
        stacks = []
        for line in shown:
            known = dict(zip(line.times, line.values, strict=True))
            stacks.append([known.get(at, 0.0) for at in moments])
        axes.stackplot(moments, stacks, colors=COLOURS, labels=[line.name or "_" for line in shown], alpha=0.85, lw=0)
    else:
        for line, colour in zip(shown, COLOURS, strict=False):
            axes.plot(line.times, line.values, color=colour, lw=1.3, label=line.name or "_")
    axes.set_xlim(0, seconds)
    low, high = axes.get_ylim()
    is_flat = all(value == 0 for line in shown for value in line.values)
    axes.set_ylim(*((0, 1) if is_flat else (min(0.0, low), high)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{int(value) // 60}:{int(value) % 60:02}")
    axes.yaxis.set_major_formatter(lambda value, _: said(value, unit))
    axes.yaxis.set_major_locator(mpl.ticker.MaxNLocator(4))
    axes.tick_params(labelsize=7.2, length=0)
    axes.grid(visible=False, axis="x")
    axes.spines["left"].set_visible(False)


def main() -> int:
    options = _parser().parse_args()
    scenario = day(options.seconds + options.way_in_s)
    with (
        demo_world() as world,
        buyers(world, options.seed, 0),
        world.exchange.serving() as url,
        watched(url, world.exchange.folder / "prometheus") as address,
        mistakes(url, world.keys[FLOODING]),
    ):
        begin_s = time.time() + options.way_in_s
        part = Part(CALM, world.keys[CALM], scenario.stages)
        run(url, scenario, [part], per_s=options.rate, seed=options.seed, campaigns=CAMPAIGNS)
        blank = paint(address, begin_s, begin_s + options.seconds, options.out, options.only)
    for name in sorted(blank):
        print(f"{'nothing to show' if name in QUIET else 'EMPTY'}: {name}")
    return 1 if blank - QUIET else 0


def paint(address: str, begin_s: float, end_s: float, folder: Path, only: str | None) -> set[str]:
    """Draws every dashboard, or one of them; returns the panels that have nothing to show."""
    blank = set()
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client, mpl.rc_context(STYLE):
        for source in sorted(DASHBOARDS.glob(f"{only or '*'}.json")):
            board = json.loads(source.read_text())
            found: dict[int, list[Line]] = {}
            for panel in board["panels"]:
                targets = panel.get("targets", [])
                found[panel["id"]] = [line for target in targets for line in lines_of(client, target, begin_s, end_s)]
                if targets and not found[panel["id"]]:
                    blank.add(f"{source.stem}: {panel['title']}")
            path = folder / f"{source.stem}.png"
            draw(board, found, end_s - begin_s, path)
            print(f"{path}  {path.stat().st_size / 1024:.0f} KiB")
    return blank


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="that the pictures show")
    parser.add_argument(
        "--way-in-s", type=float, default=20.0, help="left out of the pictures: till then rates are of a start"
    )
    parser.add_argument("--rate", type=float, default=20.0, help="leads a second at the usual load")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=sorted(path.stem for path in DASHBOARDS.glob("*.json")), help="one dashboard")
    parser.add_argument("--out", type=Path, default=PICTURES)
    return parser


if __name__ == "__main__":
    sys.exit(main())
