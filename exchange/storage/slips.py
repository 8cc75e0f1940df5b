"""Slips: what sellers were told of posts while Postgres could not be asked, in files until Postgres knows.

A gateway has to answer in time, also while it is cut off. What it says then must hold, whichever process is killed
before it is recorded: so it is written down first, one file a post, where every process of this host finds it. They are
not flushed to the disk: a slip outlives its process, not its host.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

FOLDER = "slips"
DRAFT = ".draft-"
DRAFT_KEPT_S = 60.0
TOLD_MAX = 1_000
"""How many with an answer are looked at in one round."""


@dataclass(frozen=True, slots=True)
class Slip:
    """What the seller of a post was told: its answer, or None where he was told that nothing is stored."""

    post_id: UUID
    told: bytes | None
    age_s: float = 0.0


class Slips:
    """The slips in a data directory: small files, written in some microseconds, and few."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / FOLDER

    def write(self, slip: Slip) -> Slip:
        """Writes a slip down; returns the one of its post that was first, if there is one. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f"{DRAFT}{slip.post_id}-{os.getpid()}-{time.monotonic_ns()}"
        try:
            draft.write_bytes(slip.told or b"")
            os.link(draft, self._path(slip.post_id))  # whole or not at all, and never over another's
        except FileExistsError:
            return self.read(slip.post_id) or slip
        finally:
            draft.unlink(missing_ok=True)
        return slip

    def read(self, post_id: UUID) -> Slip | None:
        """The slip of a post. Raises OSError where it cannot be read."""
        path = self._path(post_id)
        try:
            told, written_s = path.read_bytes(), path.stat().st_mtime
        except FileNotFoundError:
            return None
        return Slip(post_id, told or None, max(0.0, time.time() - written_s))

    def all(self) -> list[Slip]:
        """The slips that there are, of those with an answer so many; old drafts are removed. Raises OSError.

        Those without one come first: they are of claims, which somebody may take for sent when their leases run out.
        """
        if not self._folder.exists():
            return []
        found = []
        for path in self._folder.iterdir():
            if path.name.startswith(DRAFT):
                _remove_old(path)
            elif (slip := self.read(UUID(path.name))) is not None:
                found.append(slip)
        found.sort(key=lambda slip: (slip.told is not None, -slip.age_s))
        return found[: sum(slip.told is None for slip in found) + TOLD_MAX]

    def tear(self, post_id: UUID) -> None:
        """Removes a slip: Postgres knows. Raises OSError."""
        self._path(post_id).unlink(missing_ok=True)

    def _path(self, post_id: UUID) -> Path:
        return self._folder / str(post_id)


def _remove_old(draft: Path) -> None:
    """Removes what a process has left that was killed in the middle of writing."""
    with suppress(FileNotFoundError):
        if time.time() - draft.stat().st_mtime > DRAFT_KEPT_S:
            draft.unlink()
