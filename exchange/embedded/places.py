"""Where everything lies in a data directory, and the care that its directories and logs need."""

import hashlib
import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from exchange.errors import EmbeddedServiceError

LOG_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Places:
    """The paths under one data directory. `data_dir` is absolute and free of symbolic links."""

    data_dir: Path

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        return cls(data_dir.expanduser().resolve())

    @property
    def lock(self) -> Path:
        return self.data_dir / "owner.lock"

    @property
    def pid_file(self) -> Path:
        return self.data_dir / "owner.pid"

    @property
    def keeper_log(self) -> Path:
        return self.data_dir / "keeper.log"

    @property
    def run(self) -> Path:
        """The directory of the sockets, or a symbolic link to the short one that stands in for it."""
        return self.data_dir / "run"

    @property
    def stand_in_name(self) -> str:
        """The stand-in's name. A copied data directory has another one, so that two never share their sockets."""
        return f"exchange-{hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:12]}"

    def sockets(self) -> Path | None:
        """The directory that the sockets are in, None while there is none that can be trusted."""
        home = self.run
        try:
            if home.is_symlink():
                home = home.readlink()
                if home.name != self.stand_in_name:
                    return None
            status = home.lstat()
            trusted = {os.geteuid(), self.data_dir.stat().st_uid}
        except FileNotFoundError:
            return None
        return home if stat.S_ISDIR(status.st_mode) and status.st_uid in trusted else None


def keeper_socket(sockets: Path) -> Path:
    return sockets / "keeper.sock"


def postgres_socket_dir(sockets: Path) -> Path:
    return sockets / "postgres"


def valkey_socket(sockets: Path) -> Path:
    return sockets / "valkey" / "valkey.sock"


def own_directory(path: Path, mode: int, uid: int | None = None, gid: int = -1) -> None:
    """Makes `path` a directory of `uid` (default: ours) with exactly `mode`.

    Raises EmbeddedServiceError if something that belongs to somebody else is in its place.
    """
    me = os.geteuid()
    uid = me if uid is None else uid
    with suppress(FileExistsError):  # it is looked at below like a new one
        path.mkdir(mode=0o700)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise EmbeddedServiceError(f"{path} is in the way: it is not a directory")
    if status.st_uid not in {me, uid}:
        raise EmbeddedServiceError(
            f"{path} belongs to {user_name(status.st_uid)}, not to {user_name(uid)}: "
            "run as that user, give it away with chown -R, or set EXCHANGE_DATA_DIR to another directory"
        )
    if (status.st_uid, stat.S_IMODE(status.st_mode)) != (uid, mode):
        os.chown(path, uid, gid)
        path.chmod(mode)


def user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def open_log(log: Path) -> int:
    """A descriptor that appends to `log`; a log that has grown too long is set aside as `.1` first."""
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(f"{log}.1")
    return os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def log_size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def log_tail(log: Path, since_bytes: int, lines: int = 12) -> str:
    """The last lines of `log` that came after its first `since_bytes`, indented."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(since_bytes, log.stat().st_size - 16_384))
        text = file.read().decode(errors="replace")
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])
