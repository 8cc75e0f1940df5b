"""The runner of the auction cases sees what is wrong: a case with a mistake in it does not pass."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support import auction_case, auction_run
from support.auction_case import Expected
from support.auction_run import faults_of
from support.auction_stage import open_stage
from support.world import World

from exchange.errors import MarketFileError
from exchange.marketfile.reader import read as read_market
from exchange.marketfile.source import parse
from exchange.past.replay import replay
from exchange.rules.book import compile_book
from exchange.storage import catalogue

pytestmark = pytest.mark.asyncio(loop_scope="module")

README = (Path(__file__).parent / "cases/auctions/README.md").read_text()
GOOD = """
why: A case that is right in every detail.
market:
  orders: {east: {filter: {state: NY}}}
bids: {north: 21.00, south: 20.00, west: {status: 204}}
expect:
  offer: {winner: north, price: 17.85, gross: 21.00, ladder: [north, south]}
  reasons: {north: won, south: outbid, west: no_bid, east: filtered}
  gross: {north: 21.00, west: null}
  fails: {east: [state]}
  answer: {shares: 1}
  sent:
    north:
      lead: {zip: "60601", state: IL, age: 41, credit: good}
      body: {floor: "5.00"}
      headers: {Exchange-Order: north}
post:
  answers: {north: rejected}
  expect:
    accepted: 17.85
    attempts: {north: rejected_by_buyer, south: accepted}
    answer: {shares: 1}
    sent: {south: {body: {price: "20.00"}}}
    margin: 2.15
    balances: {south: -20.00, acme: 17.85}
    held: {north: 0}
"""


def with_mistake(right: str, wrong: str) -> str:
    assert right in GOOD
    return GOOD.replace(right, wrong, 1)


async def played(world: World, text: str) -> str:
    return "\n".join(await faults_of(auction_case.read(parse(text)), world))


async def test_a_case_that_is_right_passes(shared_world: World) -> None:
    assert await played(shared_world, GOOD) == ""


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("winner: north", "winner: south", "winner: ['north'], expected ['south']"),
        ("winner: north", "winner: [north, south]", "winner: ['north'], expected ['north', 'south']"),
        ("price: 17.85", "price: 17.86", "price: '17.85', expected '17.86'"),
        ("gross: 21.00", "gross: 21.01", "gross: '21.00', expected '21.01'"),
        ("ladder: [north, south]", "ladder: [north]", "ladder: ['north', 'south'], expected ['north']"),
        ("south: outbid", "south: below_floor", "reason of south: 'outbid', expected 'below_floor'"),
        ("south: outbid", "south: tied, north: tied", "is written twice"),
        (", east: filtered", "", "reason of east: 'filtered', expected 'not said in the case'"),
        ("east: filtered", "east: filtered, nobody: won", "reason of nobody: 'no such order', expected 'won'"),
        ("gross: {north: 21.00", "gross: {north: 21.01", "gross of north: '21.00', expected '21.01'"),
        ("west: null", "west: 1", "gross of west: None, expected '1.00'"),
        ("{east: [state]}", "{east: [age]}", "what fails east: ['state'], expected ['age']"),
        ("answer: {shares: 1}\n  sent", "answer: {shares: 2}\n  sent", "answer shares: 1, expected 2"),
        ("age: 41", "age: 42", "lead sent to north: {"),
        ("floor: ", "seller: ", "body sent to north: seller: None, expected '5.00'"),
        ("Exchange-Order: north", "Exchange-Order: x", "header sent to north: exchange-order: 'north', expected 'x'"),
        ("accepted: 17.85", "rejected: not_sent", "post: ('accepted', '17.85'), expected ('rejected', 'not_sent')"),
        ("accepted: 17.85", "accepted: 17.84", "post: ('accepted', '17.85'), expected ('accepted', '17.84')"),
        ("accepted: 17.85", "problem: already_posted", "expected 'already_posted'"),
        ("{north: rejected_by_buyer, south", "{south", "deliveries: ['north', 'south'], expected ['south']"),
        ("south: accepted}\n    answer", "south: unknown}\n    answer", "('south', 'accepted')]"),
        ('price: "20.00"', 'price: "21.00"', "body sent to south: price: '20.00', expected '21.00'"),
        ("margin: 2.15", "margin: 3.15", "margin: '2.15', expected '3.15'"),
        ("south: -20.00", "south: 20.00", "balance of south: '-20.00', expected '20.00'"),
        ("held: {north: 0}", "held: {north: 21}", "held of north: '0.00', expected '21.00'"),
    ],
)
async def test_every_mistake_is_found(shared_world: World, right: str, wrong: str, fault: str) -> None:
    try:
        found = await played(shared_world, with_mistake(right, wrong))
    except MarketFileError as error:
        found = str(error)
    assert fault in found


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("why:", "what: x\nwhy:"),
        ("gross: 21.00,", "gros: 21.00,"),
        ("reasons:", "reason: won\n  reasons:"),
        ("  reasons: {north: won", "  reasonz: {north: won"),
        ("west: {status: 204}", "west: {statuss: 204}"),
        ("west: {status: 204}", "west: {bid: 1, silent: true}"),
        ("west: no_bid", "west: nobid"),
        ("body: {floor", "bodies: {floor"),
        ("  offer:", "  unsold: no_bids\n  offer:"),
        ("  answers: {north: rejected}", "  answer: {north: rejected}"),
        ("    accepted: 17.85\n", ""),
        ("    margin: 2.15", "    margins: 2.15"),
        ("bids:", "ping: {min_prize: 1}\nbids:"),
        ("price: 17.85", "price: seventeen"),
    ],
)
async def test_a_key_or_a_word_that_nobody_knows_is_a_mistake(right: str, wrong: str) -> None:
    document = parse(with_mistake(right, wrong))
    with pytest.raises(ValidationError):
        auction_case.read(document)


@pytest.mark.parametrize("wrong", ["orders: {east: {filtre: {state: NY}}}", "campaign: {flor: 1}", "bayers: {}"])
async def test_the_market_of_a_case_is_read_like_any_other(shared_world: World, wrong: str) -> None:
    with pytest.raises(MarketFileError):
        await played(shared_world, with_mistake("orders: {east: {filter: {state: NY}}}", wrong))


async def test_whoever_is_said_to_tie_and_never_wins_is_a_fault(shared_world: World) -> None:
    text = "why: x\nbids: {north: 21.00, south: 20.00}\nrepeat: 2\nexpect:\n  reasons: {north: tied, south: tied}\n"
    found = await played(shared_world, text + "  offer: {winner: tied, price: 17.85}")
    assert found == "tied: in 2 pings ['south'] never won"


@pytest.mark.parametrize(
    ("given", "fault"),
    [([], "'none', expected 'won'"), (["won", "outbid"], "'won and outbid', expected 'won'"), (["won"], "")],
)
async def test_an_order_has_one_reason_and_not_none_or_two(given: list[str], fault: str) -> None:
    expect = Expected.model_validate({"unsold": "no_bids", "reasons": {"north": "won"}})
    found = list(auction_run._reason_faults(expect, {"north": given}))
    assert found == ([f"reason of north: {fault}"] if fault else [])


async def test_a_record_that_leads_to_another_decision_is_a_fault(shared_world: World) -> None:
    case = auction_case.read(parse(GOOD))
    async with open_stage(shared_world, case) as stage:
        stage.bids = case.steps[0].bids
        ping = await stage.recorded((await stage.ping(case.steps[0].ping)).json()["ping_id"])
        stored = await catalogue.version(shared_world.database, ping.market_version)
        assert stored is not None
        rules = compile_book(read_market(stored.document), stored.version, {})

    def differences(**changes: Any) -> list[str]:
        again = replay(dataclasses.replace(ping, **changes), rules)
        assert again is not None
        return [str(found) for found in again.differences]

    assert differences() == []
    first, *rest = ping.outcomes
    assert "the ladder" in differences(ladder=ping.ladder[::-1])[0]
    assert "the payout" in differences(payout_micros=1)[0]
    assert differences(outcomes=(first._replace(gross_micros=19_000_000), *rest))


async def test_every_key_is_explained() -> None:
    shapes = [item for item in vars(auction_case).values() if isinstance(item, type)]
    models = [item for item in shapes if issubclass(item, auction_case.Shape) and item is not auction_case.Shape]
    keys = {field.alias or name for model in models for name, field in model.model_fields.items()}
    assert {key for key in keys if f"`{key}`" not in README} == set()
    assert len(models) == 9


async def test_the_examples_are_cases(shared_world: World) -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert len(examples) >= 2
    for text in examples:
        assert await played(shared_world, text) == ""
