"""The account that the servers run as: whoever started us, or a system user of their own where that is root."""

import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from exchange.errors import EmbeddedServiceError

NAME = "exchange-postgres"
_WAY_OUT = (
    "Run the exchange as an ordinary user, or set EXCHANGE_POSTGRES_URL and EXCHANGE_VALKEY_URL to servers of yours"
)


class Credentials(TypedDict, total=False):
    """What `subprocess.Popen` is told so that a process runs as an account."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True, slots=True)
class Account:
    """Who the servers run as. `switch` says that this is not who we are, so that directories must be given to it."""

    uid: int
    gid: int
    switch: bool

    def credentials(self) -> Credentials:
        return Credentials(user=self.uid, group=self.gid, extra_groups=[]) if self.switch else Credentials()

    @property
    def outer_mode(self) -> int:
        """The mode of a directory of ours that the servers have to pass through."""
        return 0o711 if self.switch else 0o700


def server_account() -> Account:
    """Our own account, or the system user that stands in for root: Postgres refuses to run as root.

    Raises EmbeddedServiceError where the system user is missing and cannot be made.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), switch=False)
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        entry = _create()
    return Account(entry.pw_uid, entry.pw_gid, switch=True)


def _create() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603  # constant
        why = told.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    try:
        return pwd.getpwnam(NAME)  # ours, or one that was made in the same moment
    except KeyError:
        raise EmbeddedServiceError(
            f"Postgres does not run as root, and its own system user {NAME} could not be made ({why}). {_WAY_OUT}."
        ) from None


def open_way(directory: Path, account: Account) -> list[str]:
    """Lets the account pass through to `directory`: `chmod o+x` where it is really blocked, one notice for each.

    Nothing is made readable by it. Raises EmbeddedServiceError where a directory cannot be opened.
    """
    notices: list[str] = []
    opened: Path | None = None
    while account.switch and (closed := _first_closed(directory, account)) is not None:
        try:
            if closed == opened:
                raise PermissionError("chmod o+x does not help")
            closed.chmod(closed.stat().st_mode | 0o001)
        except OSError as error:
            raise EmbeddedServiceError(
                f"The servers run as {NAME}, who may not pass through {closed} ({error}). {_WAY_OUT}."
            ) from error
        opened = closed
        notices.append(
            f"{closed} may now be passed through by everyone (chmod o+x): the servers run as {NAME}, not root"
        )
    return notices


def _first_closed(directory: Path, account: Account) -> Path | None:
    with _acting_as(account):
        for step in (*reversed(directory.parents), directory):
            try:
                os.stat(os.path.join(step, "."))  # noqa: PTH116, PTH118  # a Path drops the dot that is the question
            except PermissionError:
                return step
    return None


@contextmanager
def _acting_as(account: Account) -> Iterator[None]:
    """Gives the whole process the account's rights for a moment; for use before there are threads."""
    groups = os.getgroups()
    try:
        try:
            os.setgroups([])
            os.setegid(account.gid)
            os.seteuid(account.uid)
        except OSError as error:
            raise EmbeddedServiceError(f"The servers cannot run as {NAME} ({error}). {_WAY_OUT}.") from error
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
