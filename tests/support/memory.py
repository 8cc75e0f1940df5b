"""A folder in memory for servers from whom no test takes the power away, where this machine has one with room.

Each database is a thousand small files that come and go with a test. A disk spends more time on that than tests do.
"""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

MEMORY = Path("/dev/shm")  # noqa: S108  # what is made there has a name of its own
ROOM_BYTES_MIN = 4 * 2**30
"""Five workers need a quarter of this. In a container there is often far less, and then the disk will do."""

PREFIX = "exchange-tests-"
LOCK = "held"


@contextmanager
def quick_folder(memory: Path = MEMORY, room_bytes_min: int = ROOM_BYTES_MIN) -> Iterator[Path]:
    """A folder that is gone in the end: in memory, or else on disk. What killed runs have left there goes as well.

    Not below pytest's own folder: a run that starts beside this one closes that to all other users, and as root
    Postgres is another user.
    """
    has_room = memory.is_dir() and shutil.disk_usage(memory).free >= room_bytes_min
    if has_room:
        _sweep(memory)
    with TemporaryDirectory(prefix=PREFIX, dir=memory if has_room else None) as name, _held(Path(name)):
        yield Path(name)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Holds a lock for as long as the process lives; it has its name when it is held."""
    unnamed = folder / "new"
    with unnamed.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        unnamed.rename(folder / LOCK)
        yield


def _sweep(memory: Path) -> None:
    """Removes the folders that nobody holds."""
    for lock_file in memory.glob(f"{PREFIX}*/{LOCK}"):
        with suppress(OSError), lock_file.open() as lock:  # another user's, or somebody else was quicker
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock_file.parent, ignore_errors=True)
