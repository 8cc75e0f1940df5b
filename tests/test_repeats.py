"""Slips, and what repeats are told by them."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from support.buyer import Buyer, bids
from support.market import CONTACT, market
from support.unknowns import counted
from support.world import World, open_world

from exchange.background import Background
from exchange.embedded.lease import Services
from exchange.repeats import FRESH_S, Again, Repeats
from exchange.storage.slips import DRAFT, DRAFT_KEPT_S, FOLDER, Slip, Slips
from exchange.values.ids import uuid7


@pytest.fixture
async def world(services: Services, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(services, tmp_path / "gateway") as opened:
        yield opened


def grow_old(path: Path, age_s: float) -> None:
    written_s = path.stat().st_mtime - age_s
    os.utime(path, (written_s, written_s))


async def sell(world: World, buyer: Buyer) -> tuple[UUID, bytes]:
    """A post that was sold, and its answer."""
    await world.apply(market({"one": buyer}))
    answer = await world.send("/v1/post", {"ping_id": (await world.ping())["ping_id"], "lead": CONTACT})
    assert answer.json()["status"] == "accepted"
    return UUID(answer.json()["post_id"]), answer.content


def test_the_first_slip_stands(tmp_path: Path) -> None:
    mine, theirs, post_id = Slips(tmp_path), Slips(tmp_path), uuid7()
    assert mine.read(post_id) is None
    assert mine.all() == []
    assert mine.write(Slip(post_id, b"one")).told == b"one"
    assert theirs.write(Slip(post_id, None)).told == b"one"
    refused = uuid7()
    theirs.write(Slip(refused, None))
    assert [(slip.post_id, slip.told) for slip in mine.all()] == [(refused, None), (post_id, b"one")]
    mine.tear(post_id)
    mine.tear(post_id)
    assert theirs.read(post_id) is None


def test_drafts_of_the_dead_are_removed(tmp_path: Path) -> None:
    slips = Slips(tmp_path)
    slips.write(Slip(uuid7(), b"one"))
    young, old = tmp_path / FOLDER / f"{DRAFT}young", tmp_path / FOLDER / f"{DRAFT}old"
    for path in (young, old):
        path.touch()
    grow_old(old, DRAFT_KEPT_S + 1)
    assert len(slips.all()) == 1
    assert (young.exists(), old.exists()) == (True, False)


async def test_a_repeat_is_written_down_for_its_gateway(world: World, tmp_path: Path) -> None:
    async with Buyer(bids("10.00")) as buyer:
        post_id, answer = await sell(world, buyer)
    repeats = Repeats(world.database, Slips(tmp_path), Background())
    assert await repeats.first_answer(post_id, None) is Again.RUNNING
    assert await repeats.first_answer(post_id, answer) == answer
    assert repeats.tell(post_id, b"pending") == answer
    assert repeats.refuse(post_id) == answer
    assert await repeats.first_answer(post_id, b"another") == answer
    assert await repeats.first_answer(uuid7(), b"taken back meanwhile") is Again.GONE
    assert await repeats.first_answer(uuid7(), None) is Again.GONE


async def test_what_was_told_is_kept_and_its_slip_torn_when_it_is_old(world: World, tmp_path: Path) -> None:
    async with Buyer(bids("10.00")) as buyer:
        post_id, _ = await sell(world, buyer)
    slips = Slips(tmp_path)
    repeats = Repeats(world.database, slips, Background())
    assert repeats.tell(post_id, b"pending") == b"pending"
    await repeats.settle()
    assert [bytes(row["answer"]) for row in await world.rows("select answer from posts")] == [b"pending"]
    assert len(slips.all()) == 1
    grow_old(tmp_path / FOLDER / str(post_id), FRESH_S + 1)
    await repeats.settle()
    assert slips.all() == []


async def test_a_post_that_went_on_is_not_taken_back(world: World, tmp_path: Path) -> None:
    async with Buyer(bids("10.00")) as buyer:
        post_id, answer = await sell(world, buyer)
    slips = Slips(tmp_path)
    slips.write(Slip(post_id, None))
    repeats = Repeats(world.database, slips, Background())
    assert await repeats.first_answer(post_id, answer) == answer
    assert slips.all() == []
    assert len(await world.rows("select from posts")) == 1
    await world.assert_sound()


async def test_without_a_folder_answers_are_given_all_the_same(world: World, tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_text("no folder")
    background = Background()
    repeats, before = Repeats(world.database, Slips(tmp_path), background), counted("exchange_slips_total", what="lost")
    assert repeats.tell(uuid7(), b"pending") == b"pending"
    assert repeats.refuse(uuid7()) is None
    assert await background.drain(5) == 0
    await repeats.settle()
    assert counted("exchange_slips_total", what="lost") == before + 2
