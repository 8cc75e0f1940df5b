"""`exchange explain`: why a ping sold to whom it did, or to nobody, order by order, from its record."""

import json
from collections.abc import Sequence
from uuid import UUID

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exchange.errors import CommandError
from exchange.past.explanation import Explanation, Failed, OrderStory
from exchange.past.recall import Past, Unreadable
from exchange.past.replay import Replay
from exchange.past.told import told
from exchange.storage.database import Database
from exchange.storage.history import AttemptHistory
from exchange.storage.pings import RecordedPing
from exchange.values.money import format_amount
from exchange.values.reason import Reason
from exchange.values.selling import Method
from exchange.values.trace import BidOutcome, Inputs
from exchange.values.vertical import Value

WHY_IT_MAY_DIFFER = (
    "Recorded bids and refusals were taken as they are, with the floors, margins, limits, priorities and the seller's "
    "least price of that market version. Balances, caps and budgets of that moment are known only by the refusals that "
    "they caused (203, 204, 205). A result that differs means that the rules are worked out otherwise today than then, "
    "or that the record was changed."
)


async def explain(database: Database, ping_id: UUID, *, again: bool) -> Explanation:
    """A ping's story, `again` with its auction run anew. Raises CommandError where it cannot be told."""
    found = await Past(database).explain(ping_id, again=again)
    if found is None:
        raise CommandError(f"there is no ping {ping_id}")
    if isinstance(found, Unreadable):
        raise CommandError(f"market version {found.market_version} cannot be read, so nothing can be run again")
    return found


def as_json(explanation: Explanation) -> str:
    """The story for a program."""
    return json.dumps(told(explanation), ensure_ascii=False)


def show(explanation: Explanation, console: Console, *, again: bool) -> None:
    """Prints a ping's story."""
    _print_head(explanation, console)
    if explanation.orders:
        console.print(_table(explanation.orders))
    for note in explanation.notes:
        _say(console, note)
    if explanation.post is not None:
        _print_post(explanation, console)
    if again:
        _print_replay(explanation.replay, console)


def _print_head(explanation: Explanation, console: Console) -> None:
    ping = explanation.ping
    console.print(f"[bold]ping {ping.ping_id}[/]", highlight=False)
    facts = [f"{explanation.pinged_at:%Y-%m-%d %H:%M:%S} UTC", f"campaign {ping.campaign}", f"seller {ping.seller}"]
    facts += [f"{name} {value}" for name, value in (("source", ping.source), ("ref", ping.ref)) if value]
    facts += [] if ping.min_price_micros is None else [f"least price {format_amount(ping.min_price_micros)}"]
    facts += ["test"] if ping.test else []
    _say_all(console, facts, " · ")
    applied = "" if explanation.applied_at is None else f" of {explanation.applied_at:%Y-%m-%d %H:%M:%S} UTC"
    _say(console, f"market version {ping.market_version}{applied}")
    lead = [f"{name} {_value(value)}" for name, value in ping.lead.items()]
    _say_all(console, [f"lead: {lead[0]}", *lead[1:]] if lead else ["lead:"], ", ")
    if ping.reason is not None:
        _say(console, f"{ping.status}: {_reason(ping.reason)}. {ping.reason.text}")
    elif explanation.gross_micros is not None and explanation.margin_micros is not None:
        _say(
            console,
            f"{ping.status}: {format_amount(explanation.gross_micros)} = "
            f"{_amount(explanation.payout_micros)} to the seller + {format_amount(explanation.margin_micros)} margin; "
            f"ladder: {_ladder(ping)}",
        )
    if ping.sums is not None:
        ways = {"exclusive": ping.sums.exclusive_micros, "shared": ping.sums.shared_micros}
        _say(console, "the ways: " + ", ".join(f"{way} {_amount(micros) or 'nobody'}" for way, micros in ways.items()))
    if ping.inputs is not None:
        _say(console, _went_by(ping.inputs))
    if ping.inputs is not None and ping.inputs.after is not None:
        _say(console, f"the rest {_went_by(ping.inputs.after)}")
    phases = ", ".join(f"{name} {ms:.1f} ms" for name, ms in ping.phases_ms.items())
    console.print(f"[dim]{escape(phases)}[/]\n", highlight=False)


def _ladder(ping: RecordedPing) -> str:
    """Who may have the lead, in order; of a shared one the legs with what each is promised, then the reserve."""
    won = [
        f"leg {number} {rung.order} {_amount(rung.gross_micros)} = {_amount(payout)} + "
        f"{_amount(rung.gross_micros - payout)}"
        for number, (rung, payout) in enumerate(zip(ping.ladder, ping.legs, strict=False), 1)
    ]
    rest = " → ".join(rung.order for rung in ping.ladder[len(won) :])
    return "; ".join([*won, *([f"then {rest}"] if won and rest else [rest] if rest else [])])


def _bid_cells(bid: BidOutcome) -> tuple[str, ...]:
    shares = f" to {bid.shares_max} at most" if bid.shares_max else ""
    return "", f"  {bid.sale}{shares}", "", _amount(bid.gross_micros), "", _reason(bid.reason)


def _went_by(inputs: Inputs) -> str:
    """What the campaign's method went by, best first; what was measured counts as it was then."""
    if not inputs.values:
        return f"decided by {inputs.method}"
    what = "acceptance" if inputs.method is Method.PERFORMANCE else "credit before this lead"
    found = sorted(inputs.values.items(), key=lambda item: (-item[1], item[0]))
    return f"{inputs.method}, by {what}: " + ", ".join(f"{order} {value / 1_000_000:.3f}" for order, value in found)


def _table(stories: tuple[OrderStory, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("#", "order", "buyer", "bid", "ms", "reason"):
        table.add_column(name, justify="right" if name in {"#", "bid", "ms"} else "left", overflow="fold")
    for story in stories:
        table.add_row(*_cells(story), style="dim" if story.outcome.reason is Reason.FILTERED else None)
        for bid in story.outcome.bids:
            table.add_row(*_bid_cells(bid), style="dim")
    return table


def _cells(story: OrderStory) -> tuple[str, ...]:
    outcome = story.outcome
    details = [outcome.detail] if outcome.detail else []
    details += [_failed(item) for item in story.failed]
    reason = _reason(outcome.reason) + (f" ({'; '.join(details)})" if details else "")
    return (
        "" if story.rank is None else str(story.rank),
        escape(outcome.order),
        escape(outcome.buyer),
        _amount(outcome.gross_micros),
        "" if outcome.elapsed_ms is None else f"{outcome.elapsed_ms:.0f}",
        escape(reason),
    )


def _failed(item: Failed) -> str:
    """A condition that the lead failed, as `age = 41, wants {min: 60}`."""
    return f"{item.path} = {_value(item.value)}" + (f", wants {item.wants}" if item.wants else "")


def _value(value: Value | None) -> str:
    """A value as the market file would have it."""
    if value is None:
        return "absent"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _print_post(explanation: Explanation, console: Console) -> None:
    """Who was sent the lead, in turn, and what became of it."""
    post = explanation.post
    if post is None:
        return
    console.print(f"\n[bold]post {post.post_id}[/]", highlight=False)
    reason = post.reason
    why = f": {_reason(reason)}" if reason is not None and reason.wire_name != post.state else ""
    _say(console, f"{post.created_at:%Y-%m-%d %H:%M:%S} UTC {post.state}{why}")
    if post.returned is not None:
        _say(console, f"{post.returned.at:%Y-%m-%d %H:%M:%S} UTC returned, {_amount(post.returned.payout_micros)}")
    if not explanation.attempts:
        _say(console, "sent to nobody")
    for item in explanation.attempts:
        _print_attempt(item, console)


def _print_attempt(item: AttemptHistory, console: Console) -> None:
    reason = "under way" if item.reason is None else _reason(item.reason)
    detail = f" ({item.detail})" if item.detail else ""
    margin_micros = item.gross_micros - item.payout_micros
    sums = f"{_amount(item.gross_micros)} = {_amount(item.payout_micros)} + {_amount(margin_micros)}"
    leg = f"leg {item.leg} " if item.leg else ""
    _say(console, f"{item.made_at:%H:%M:%S} {leg}{item.order} at {sums}: {reason}{detail}")
    for event in item.events:
        note = f" ({event.note})" if event.note else ""
        _say(console, f"  {event.at:%Y-%m-%d %H:%M:%S} {event.what}{note}")


def _print_replay(replay: Replay | None, console: Console) -> None:
    console.print("\n[bold]run again[/]", highlight=False)
    if replay is None:
        _say(console, "There was no auction: nothing to run again.")
    elif replay.is_same and replay.winners:
        winners, win = ", ".join(replay.winners), "wins" if len(replay.winners) == 1 else "win"
        _say(console, f"The same: {winners} {win}, {_amount(replay.payout_micros)} to the seller.")
    elif replay.is_same:
        _say(console, "The same: it sells to nobody, for the same reason.")
    else:
        for difference in replay.differences:
            _say(console, str(difference))
        _say(console, WHY_IT_MAY_DIFFER)


def _say_all(console: Console, facts: Sequence[str], between: str) -> None:
    """Facts on as few lines as they fit on, none of them broken in two."""
    line = facts[0]
    for fact in facts[1:]:
        if len(line) + len(between) + len(fact) > console.width:
            _say(console, (line + between).rstrip())
            line = fact
        else:
            line += between + fact
    _say(console, line)


def _say(console: Console, text: str) -> None:
    console.print(escape(text), highlight=False)


def _reason(reason: Reason) -> str:
    return f"{int(reason)} {reason.wire_name}"


def _amount(micros: int | None) -> str:
    return "" if micros is None else format_amount(micros)
