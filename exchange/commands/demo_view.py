"""What the demo shows: auctions as they happen, the addresses to try, and the summary of the three witnesses."""

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from exchange.simulation.reconcile import Figures, Report
from exchange.simulation.tally import ACCEPTED, OFFERED, PENDING, Fault, PingTold, PostTold, Told, TurnedAway
from exchange.values.money import format_amount

AUCTIONS_SHOWN = 12
PLAIN_LINE_EVERY = 50

_COLUMNS = {
    "campaign": 8, "seller": 9, "asked": 5, "ms": 4, "best order": 18, "bid": 6, "payout": 6, "outcome": 8
}  # fmt: skip
"""The columns of the auctions and their least widths: they fit in 80 characters."""
_OUTCOMES = {
    "accepted": ("sold", "bold green"),
    "rejected": ("rejected", "yellow"),
    "pending": ("unknown", "magenta"),
    "offered": ("offered", "cyan"),
    "unsold": ("unsold", "dim"),
}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the demo's gateway is, and the keys of two sellers to try it with."""

    url: str
    keys: Sequence[str]
    folder: Path
    prometheus: str | None = None

    def lines(self) -> list[str]:
        return [
            f"API      {self.url}/v1/ping",
            f"docs     {self.url}/docs",
            f"metrics  {self.url}/metrics",
            f"key      {self.keys[0]}",
            f"another  {self.keys[1]}",
            f"logs     {self.folder}",
            *([f"watched  {self.prometheus}"] if self.prometheus else []),
        ]


class DemoView:
    """A live table on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console, addresses: Addresses, pings: int | None) -> None:
        self._console = console
        self._addresses = addresses
        self._wanted = pings
        self._counts: Counter[str] = Counter()
        self._payout_micros = 0
        self._auctions: deque[dict[str, Any]] = deque(maxlen=AUCTIONS_SHOWN)
        self._resting = False
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._say_addresses()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def told(self, record: Told) -> None:
        """Counts what a seller was told."""
        match record:
            case PingTold():
                self._counts["pings"] += 1
                self._counts["offers"] += record.status == OFFERED
                if not self._console.is_terminal and self._counts["pings"] % PLAIN_LINE_EVERY == 0:
                    self._console.print(self._headline(), highlight=False)
            case PostTold():
                self._counts[record.status] += 1
                self._payout_micros += (record.price_micros or 0) if record.status == ACCEPTED else 0
            case TurnedAway() | Fault():
                self._counts["problems"] += 1

    def happened(self, item: dict[str, Any]) -> None:
        """Takes an item of the live feed: a new auction, or what became of one."""
        if item["kind"] == "ping":
            self._auctions.append(item)
            return
        for auction in self._auctions:
            if auction["ping_id"] == item["ping_id"]:
                auction["status"], auction["order"] = item["status"], item["order"] or auction["order"]

    def rest(self) -> None:
        """All pings are sent; the market stays open for the person to try."""
        self._resting = True
        if not self._console.is_terminal:
            self._console.print("All pings are sent; the gateway stays open until Ctrl-C.")

    def finish(self) -> None:
        """The show is over: the last auctions and the addresses stay on the screen."""
        if self._console.is_terminal:
            self._live.stop()
            self._console.print(self._table())
            self._say_addresses()
        self._console.print("Waiting for late answers of buyers ...", style="dim")

    def _say_addresses(self) -> None:
        for line in self._addresses.lines():
            self._console.print(line, highlight=False, soft_wrap=True)

    def _render(self) -> RenderableType:
        end = "All pings are sent. Ctrl-C ends the demo." if self._resting else "Ctrl-C ends the demo."
        lines = [Text(line, style="dim", overflow="ellipsis", no_wrap=True) for line in self._addresses.lines()]
        return Group(self._headline(), "", self._table(), "", *lines, Text(end, style="dim"))

    def _headline(self) -> Text:
        counts = self._counts
        of = f"/{self._wanted}" if self._wanted else ""
        parts = [
            f"{counts['pings']}{of} pings",
            f"{counts['offers']} offers",
            f"{counts[ACCEPTED]} sold",
            f"{counts['rejected']} rejected",
            f"{counts[PENDING]} unknown",
            f"{format_amount(self._payout_micros)} USD",
        ]
        return Text(" · ".join(parts), style="bold")

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim", expand=False)
        for name, width in _COLUMNS.items():
            right = name in {"asked", "ms", "bid", "payout"}
            table.add_column(
                name, justify="right" if right else "left", min_width=width, no_wrap=True, overflow="ellipsis"
            )
        for item in self._auctions:
            word, style = _OUTCOMES.get(item["status"], (item["status"], ""))
            why = (item["reason"] or "").replace("_", " ")
            table.add_row(
                escape(item["campaign"]),
                escape(item["seller"]),
                str(item["asked"]),
                f"{item['ask_ms']:.0f}",
                Text(why, style="dim") if item["status"] == "unsold" else escape(item["order"] or "-"),
                item["gross"] or "",
                item["payout"] or "",
                Text(word, style=style),
            )
        return table


def show_summary(report: Report, console: Console) -> None:
    """The run in figures, and whether sellers, buyers and Postgres tell the same story."""
    table = Table(title="What happened", title_justify="left", box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    for row in _rows(report.figures):
        table.add_row(*row)
    console.print(table)
    for sentence in report.disagreements:
        console.print(f"[red]disagreement:[/] {escape(sentence)}", highlight=False)
    if report.agrees:
        console.print("[green]Sellers, buyers and Postgres tell the same story.[/]")
    else:
        console.print(f"[red]The witnesses disagree in {len(report.disagreements)} points.[/]")


def _rows(figures: Figures) -> list[tuple[str, str, str]]:
    failures = ", ".join(f"{count} {what}" for what, count in figures.buyer_failures.items())
    return [
        ("pings", str(figures.pings), ""),
        ("offers", str(figures.offers), ""),
        ("unsold", str(figures.unsold), ""),
        ("posts", str(figures.posts), ""),
        ("sales", str(figures.accepted), ""),
        ("rejections", str(figures.rejected), "no order of the ladder took the lead"),
        ("unknown", str(figures.pending), f"of them {figures.taken_unknown} in the buyers' own logs"),
        ("buyer failures", str(sum(figures.buyer_failures.values())), failures),
        ("gross", format_amount(figures.gross_micros), "USD charged to buyers"),
        ("payout", format_amount(figures.payout_micros), "USD owed to sellers"),
        ("margin", format_amount(figures.margin_micros), "USD for the exchange"),
    ]
