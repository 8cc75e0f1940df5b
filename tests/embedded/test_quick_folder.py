"""The folder of the tests' own servers: in memory where there is room, and nothing of it stays, whoever is killed."""

import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

from support.memory import quick_folder

HOLDS = """
import sys, time
from pathlib import Path
from support.memory import quick_folder
with quick_folder(Path(sys.argv[1]), 0) as folder:
    (folder / "data").mkdir()
    print(folder, flush=True)
    time.sleep(600)
"""


def test_it_is_in_memory_where_there_is_room_and_gone_in_the_end(tmp_path: Path) -> None:
    with quick_folder(tmp_path, 0) as folder:
        assert folder.parent == tmp_path
        (folder / "data").mkdir()
    assert not any(tmp_path.iterdir())


def test_without_room_or_such_a_place_it_is_on_disk(tmp_path: Path) -> None:
    for memory, room_bytes_min in ((tmp_path, 2**60), (tmp_path / "none", 0)):
        with quick_folder(memory, room_bytes_min) as folder:
            assert folder.parent == Path(gettempdir())


def test_what_a_killed_run_has_left_goes_with_the_next_and_what_is_held_stays(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDS, str(tmp_path)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            theirs = Path(other.stdout.readline().strip())
            with quick_folder(tmp_path, 0):
                assert theirs.is_dir()
        finally:
            other.kill()
    assert theirs.is_dir()
    with quick_folder(tmp_path, 0) as ours:
        assert list(tmp_path.iterdir()) == [ours]
