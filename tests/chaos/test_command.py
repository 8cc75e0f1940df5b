"""`exchange simulate chaos` as a person types it."""

import os
from pathlib import Path

from support.commands import embedded_shell


async def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.log").write_text("of an earlier run")
    done = await embedded_shell(tmp_path).run("simulate", "chaos", "--seconds", "5", "--folder", str(tmp_path))
    assert (done.status, done.out) == (1, "")
    assert "is not empty" in done.err
    assert os.listdir(tmp_path) == ["old.log"]  # noqa: PTH208  # a list is what is compared
