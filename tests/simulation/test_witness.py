"""A buyer's log: what is written is read again, and a line that is still being written is left for later."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange.simulation.conduct import Decision, PingMove, PostMove
from exchange.simulation.witness import (
    Answered,
    BuyerLog,
    Entry,
    LogWriter,
    PingSeen,
    PostAnswered,
    PostSeen,
    Violation,
    parse_entries,
    read_log,
    read_logs,
    without_pings,
)

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
amounts = st.integers(0, 10**15)
entries: st.SearchStrategy[Entry] = st.one_of(
    st.builds(PingSeen, names, names, st.sampled_from(PingMove), st.none() | amounts, st.none() | names),
    st.builds(
        PostSeen,
        names,
        names,
        names,
        amounts,
        st.none() | names,
        st.booleans(),
        st.sampled_from(PostMove),
        st.sampled_from(Decision),
    ),
    st.builds(PostAnswered, names, st.sampled_from(Answered)),
    st.builds(Violation, names, names, names),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(entries, max_size=8))
def test_what_is_written_is_read_again(tmp_path: Path, written: list[Entry]) -> None:
    path = tmp_path / "northwind.jsonl"
    path.unlink(missing_ok=True)
    writer = LogWriter(path)
    for entry in written:
        writer.write(entry)
    writer.close()
    assert read_log(path) == BuyerLog("northwind", tuple(written))


def test_a_line_without_its_end_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    writer = LogWriter(path)
    writer.write(Violation("what", "subject"))
    writer.write(Violation("what", "other"))
    writer.close()
    path.write_bytes(path.read_bytes()[:-3])
    assert read_log(path).entries == (Violation("what", "subject"),)


def test_every_log_of_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        LogWriter(tmp_path / f"{name}.jsonl").close()
    (tmp_path / "notes.txt").touch()
    assert [log.buyer for log in read_logs(tmp_path)] == ["a", "b"]


def test_a_writer_without_a_path_or_after_its_end_writes_nowhere(tmp_path: Path) -> None:
    for writer in (LogWriter(None), LogWriter(tmp_path / "b.jsonl")):
        writer.close()
        writer.write(Violation("what", "subject"))
        writer.close()
    assert read_log(tmp_path / "b.jsonl").entries == ()


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b'{"saw": "nothing"}',
        b'{"saw": "answered", "attempt_id": "a", "how": "somehow"}',
        b'{"saw": "ping", "ping_id": "p", "order": "o", "move": "bid", "bid": "-1", "bid_id": null}',
        b"{}",
    ],
)
def test_what_no_writer_wrote_is_not_taken(line: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        list(parse_entries([line]))


def test_pings_that_are_nobodys_are_left_out_with_their_posts_and_answers() -> None:
    kept = (PingSeen("p1", "a", PingMove.NO_BID), PostAnswered("t1", Answered.REPLY))
    guest = PostSeen("t2", "p2", "a", 10, None, test=False, move=PostMove.ACCEPT, decision=Decision.ACCEPTED)
    log = BuyerLog("b", (kept[0], PingSeen("p2", "a", PingMove.BID, 10, "x"), guest, kept[1],
                         PostAnswered("t2", Answered.REPLY)))  # fmt: skip
    assert without_pings([log], {"p2"}) == (BuyerLog("b", kept),)
