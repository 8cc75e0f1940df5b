"""`exchange explain`: why a ping sold to whom it did, or to nobody, order by order, from its record."""

from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exchange.errors import CommandError
from exchange.marketfile.reader import read
from exchange.rules.book import CampaignBook, compile_book
from exchange.rules.routing import failing_fields
from exchange.storage import catalogue, history, pings
from exchange.storage.database import Database
from exchange.storage.history import AttemptHistory
from exchange.storage.pings import RecordedPing
from exchange.values.money import format_amount
from exchange.values.reason import Reason
from exchange.values.trace import BidOutcome, OrderOutcome, sold_first


async def explain(database: Database, ping_id: UUID, console: Console) -> None:
    """Prints a ping's story. Raises CommandError where there is no such ping."""
    ping = await pings.find(database, ping_id)
    if ping is None:
        raise CommandError(f"there is no ping {ping_id}")
    _print_head(ping, console)
    console.print(_table(ping.outcomes, await _filtered(database, ping)))
    if ping.post_id is not None:
        _print_post(ping.post_id, await history.attempts_of(database, ping.post_id), console)


async def _filtered(database: Database, ping: RecordedPing) -> list[tuple[OrderOutcome, str]]:
    """The orders that the filters kept out, found again from the market version that held then."""
    found = await catalogue.version(database, ping.market_version)
    if found is None:
        return []
    campaign = compile_book(read(found.document), found.version, {}).campaigns[ping.campaign]
    known = {outcome.order for outcome in ping.outcomes}
    return [_kept_out(campaign, index, ping) for index, entry in enumerate(campaign.entries) if entry.key not in known]


def _kept_out(campaign: CampaignBook, index: int, ping: RecordedPing) -> tuple[OrderOutcome, str]:
    entry = campaign.entries[index]
    fields = ", ".join(
        f"{name} = {ping.lead.get(name, 'absent')}" for name in failing_fields(campaign, entry, ping.lead)
    )
    if entry.sale is None:
        fields = f"takes {entry.order.sale} leads, and the campaign's are {campaign.campaign.sale}"
    return OrderOutcome(entry.key, entry.buyer.key, Reason.FILTERED), fields


def _print_head(ping: RecordedPing, console: Console) -> None:
    console.print(f"[bold]ping {ping.ping_id}[/]", highlight=False)
    facts = [f"campaign {ping.campaign}", f"seller {ping.seller}", f"market version {ping.market_version}"]
    if ping.test:
        facts.append("test")
    console.print(escape(" · ".join(facts)), highlight=False)
    if ping.reason is not None:
        console.print(f"{ping.status}: {int(ping.reason)} {ping.reason.wire_name}. {ping.reason.text}", highlight=False)
    elif ping.payout_micros is not None and ping.ladder:
        gross = sum(rung.gross_micros for rung in sold_first(ping.ladder))
        console.print(
            f"{ping.status}: {format_amount(gross)} = {format_amount(ping.payout_micros)} to the seller + "
            f"{format_amount(gross - ping.payout_micros)} margin; ladder: " + escape(_ladder(ping)),
            highlight=False,
        )
    if ping.sums is not None:
        ways = {"exclusive": ping.sums.exclusive_micros, "shared": ping.sums.shared_micros}
        said = ", ".join(f"{way} {'nobody' if sum_ is None else format_amount(sum_)}" for way, sum_ in ways.items())
        console.print(f"the ways: {said}", highlight=False)
    phases = ", ".join(f"{name} {ms:.1f} ms" for name, ms in ping.phases_ms.items())
    console.print(f"[dim]{phases}[/]", highlight=False)


def _ladder(ping: RecordedPing) -> str:
    """Who may have the lead, in order; of a shared one the legs with what each is promised, then the reserve."""
    legs = ping.legs
    if not legs:
        return " → ".join(rung.order for rung in ping.ladder)
    won = [
        f"leg {number} {rung.order} {format_amount(rung.gross_micros)} = {format_amount(payout)} + "
        f"{format_amount(rung.gross_micros - payout)}"
        for number, (rung, payout) in enumerate(zip(ping.ladder, legs, strict=False), 1)
    ]
    reserve = " → ".join(rung.order for rung in ping.ladder[len(legs) :])
    return "; ".join([*won, f"then {reserve}"] if reserve else won)


def _print_post(post_id: UUID, attempts: list[AttemptHistory], console: Console) -> None:
    """Who was sent the lead, in turn, and what became of it."""
    console.print(f"\n[bold]post {post_id}[/]", highlight=False)
    if not attempts:
        console.print("sent to nobody")
    for item in attempts:
        reason = f"{int(item.reason)} {item.reason.wire_name}" if item.reason is not None else "under way"
        detail = f" ({item.detail})" if item.detail else ""
        leg = f"leg {item.leg} " if item.leg else ""
        line = f"{item.made_at:%H:%M:%S} {leg}{item.order} at {format_amount(item.gross_micros)}: {reason}{detail}"
        console.print(escape(line), highlight=False, soft_wrap=True)
        for event in item.events:
            note = f" ({event.note})" if event.note else ""
            console.print(escape(f"  {event.at:%Y-%m-%d %H:%M:%S} {event.what}{note}"), highlight=False, soft_wrap=True)


def _table(outcomes: tuple[OrderOutcome, ...], filtered: list[tuple[OrderOutcome, str]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("order", "buyer", "bid", "ms", "reason"):
        table.add_column(name, justify="right" if name in {"bid", "ms"} else "left", overflow="fold")
    for outcome in sorted(outcomes, key=lambda item: (item.reason is not Reason.WON, -(item.gross_micros or 0))):
        table.add_row(*_cells(outcome, outcome.detail))
        for bid in outcome.bids:
            table.add_row(*_bid_cells(bid), style="dim")
    for outcome, detail in filtered:
        table.add_row(*_cells(outcome, detail), style="dim")
    return table


def _bid_cells(bid: BidOutcome) -> tuple[str, ...]:
    shares = f" to {bid.shares_max} at most" if bid.shares_max else ""
    reason = f"{int(bid.reason)} {bid.reason.wire_name}"
    return f"  {bid.sale}{shares}", "", format_amount(bid.gross_micros), "", reason


def _cells(outcome: OrderOutcome, detail: str) -> tuple[str, ...]:
    reason = f"{int(outcome.reason)} {outcome.reason.wire_name}" + (f" ({detail})" if detail else "")
    return (
        escape(outcome.order),
        escape(outcome.buyer),
        "" if outcome.gross_micros is None else format_amount(outcome.gross_micros),
        "" if outcome.elapsed_ms is None else f"{outcome.elapsed_ms:.0f}",
        escape(reason),
    )
