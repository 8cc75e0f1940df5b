"""The auction cases: every file of tests/cases/auctions, played on real sockets against a real gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import auction_case
from support.auction_case import Case
from support.auction_run import faults_of
from support.world import World

from exchange.values.reason import Reason

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOLDER = Path(__file__).parent / "cases/auctions"
FILES = sorted(FOLDER.rglob("*.yaml"))

CODES_PAGE = Path(__file__).parents[1] / "docs/reference/reason-codes.md"
ELSEWHERE = {
    Reason.INTERNAL_ERROR: "a fault of the exchange's own, which no buyer can bring about",
    Reason.ADDRESS_REFUSED: "the buyers of these cases have private addresses, which are allowed for them",
    Reason.NO_TIME_LEFT: "takes a network or a machine as slow as the seller's time is short",
    Reason.SUPERSEDED: "is of a bid beside a better one of the same order, and never an order's",
    Reason.PRESUMED_ACCEPTED: "comes days after the post",
    Reason.PRESUMED_REJECTED: "comes days after the post",
    Reason.QUEUE_ENDED: "ends a wait, not an auction",
    Reason.NOT_TAKEN: "is told to a buyer in a notice, and never of an order in a trace",
}
"""Reasons that are given today and have no case, and why."""


def name_of(path: Path) -> str:
    return str(path.relative_to(FOLDER).with_suffix(""))


@pytest.mark.parametrize("path", FILES, ids=map(name_of, FILES))
async def test_case(shared_world: World, path: Path) -> None:
    found = await faults_of(auction_case.load(path), shared_world)
    assert not found, "\n".join(found)


async def test_every_reason_that_is_given_today_has_a_case() -> None:
    rows = [line.strip("|").split("|") for line in CODES_PAGE.read_text().splitlines() if line.startswith("| ")]
    today = {row[1].strip(" `") for row in rows if row[-1].strip() == "yes"}
    expected = {reason for path in FILES for reason in _reasons_of(auction_case.load(path))}
    assert today - expected == {reason.wire_name for reason in ELSEWHERE}


async def test_no_two_cases_say_the_same() -> None:
    whys = [auction_case.load(path).why for path in FILES]
    assert len({*whys}) == len(whys)
    assert len({path.stem for path in FILES}) == len(FILES)


def _reasons_of(case: Case) -> Iterator[str | None]:
    for step in case.steps:
        yield from (step.expect.unsold, step.expect.refused, *step.expect.reasons.values())
        if step.post is not None:
            expect = step.post.expect
            yield from (expect.rejected, expect.pending, *expect.attempts.values())
