"""What `exchange explain` prints, on a terminal of 80 columns."""

import io
from dataclasses import replace

import pytest
from rich.console import Console
from support.past_pings import READ_LEAD, ping_of, rules

from exchange.commands.explain import show
from exchange.past.explanation import Explanation, explain
from exchange.past.replay import Replay
from exchange.values.bid import Bid
from exchange.values.vertical import Lead

COLUMNS = 80


def explained(lead: Lead | None = None) -> Explanation:
    book = rules()
    ping = ping_of(book, {"ann": Bid(20_000_000, "a"), "bob": Bid(19_000_000, "b")})
    ping = replace(ping, lead=READ_LEAD if lead is None else lead, source="newsletter-weekly", ref="a-reference-of-his")
    return explain(ping, None, book.campaigns["auto-us"])


def shown(explanation: Explanation) -> list[str]:
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    show(explanation, console, again=explanation.replay is not None)
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("fields", range(1, 12))
def test_lines_are_broken_between_facts_and_not_within_one(fields: int) -> None:
    lead: Lead = {f"field_{number}": f"of {number} words" for number in range(fields)}
    lines = shown(explained(lead))
    assert max(map(len, lines)) <= COLUMNS
    for fact in ("seller acme", "source newsletter-weekly", "ref a-reference-of-his"):
        assert sum(fact in line for line in lines) == 1
    for number in range(fields):
        assert sum(f"field_{number} of {number} words" in line for line in lines) == 1


def test_what_the_seller_wanted_at_least_is_told_whatever_became_of_it() -> None:
    story = explained()
    wanted = replace(story, ping=replace(story.ping, min_price_micros=17_000_000))
    assert sum("least price 17.00" in line for line in shown(wanted)) == 1
    assert not any("least price" in line for line in shown(story))


def test_a_lead_without_fields_has_none() -> None:
    assert "lead:" in shown(explained({}))


@pytest.mark.parametrize(
    ("winners", "said"), [(("ann",), "The same: ann wins, 17.00"), (("ann", "bob"), "The same: ann, bob win, 17.00")]
)
def test_one_wins_and_several_win(winners: tuple[str, ...], said: str) -> None:
    again = replace(explained(), replay=Replay(winners, 17_000_000, ()))
    assert f"{said} to the seller." in shown(again)
