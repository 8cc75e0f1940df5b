"""Leases in the ordinary run of things: start, attach, stop, and the paths and directories that they must cope with."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from embedded_holders import (
    Holder,
    data_directory,
    eventually,
    nothing_runs,
    pid_of,
    read_rows,
    running,
    write_row,
)
from redis.asyncio import Redis

from exchange.embedded.lease import hold
from exchange.errors import EmbeddedServiceError

ELSEWHERE = "postgresql://postgres@db.example/exchange"


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    with data_directory() as directory:
        yield directory


async def test_both_servers_answer_as_they_should(data_dir: Path) -> None:
    with hold(data_dir) as lease:
        connection = await asyncpg.connect(lease.services.postgres_url)
        wanted = {"server_encoding": "UTF8", "TimeZone": "UTC", "fsync": "on", "synchronous_commit": "on"}
        wanted |= {"listen_addresses": "", "max_connections": "200"}
        rows = await connection.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY($1)", list(wanted))
        assert {row["name"]: row["setting"] for row in rows} == wanted
        assert await connection.fetchval("SELECT current_database()") == "exchange"
        assert await connection.fetchval("SELECT datcollate FROM pg_database WHERE datname = 'exchange'") == "C"
        await connection.close()
        valkey = Redis.from_url(lease.services.valkey_url)
        assert await valkey.ping()
        wanted = {"save": "", "appendonly": "no", "maxmemory-policy": "noeviction", "port": "0"}
        assert await valkey.config_get(*wanted) == wanted
        await valkey.aclose()
    assert eventually(lambda: nothing_runs(data_dir))


async def test_a_second_lease_attaches_and_the_last_one_stops(data_dir: Path) -> None:
    first = hold(data_dir)
    postmaster = pid_of(data_dir, "postgres")
    await write_row(first.services.postgres_url, 1)
    with Holder(data_dir) as second:
        assert second.urls() == [first.services.postgres_url, first.services.valkey_url]
        first.close()
        first.close()
        assert pid_of(data_dir, "postgres") == postmaster
        assert await read_rows(first.services.postgres_url) == [1]
        second.leave()
    assert eventually(lambda: nothing_runs(data_dir))


def test_closing_the_last_lease_waits_until_the_servers_have_stopped(data_dir: Path) -> None:
    hold(data_dir).close()
    left = running(data_dir)
    assert not left["postgres"]
    assert not left["valkey"]
    assert not (data_dir / "owner.pid").exists()
    assert not (data_dir / "postgres" / "postmaster.pid").exists()


def test_two_that_start_in_the_same_moment_share_one_keeper() -> None:
    with data_directory(new=True) as fresh, Holder(fresh) as one, Holder(fresh) as other:
        assert one.urls() == other.urls() != []
        assert {name: len(found) for name, found in running(fresh).items() if name != "children"} == {
            "keeper": 1,
            "postgres": 1,
            "valkey": 1,
        }
        one.leave()
        other.leave()
        assert eventually(lambda: nothing_runs(fresh))


def test_coming_while_the_keeper_goes_ends_with_a_fresh_one(data_dir: Path) -> None:
    sockets = set()

    def come_and_go() -> None:
        for _ in range(6):
            with hold(data_dir, postgres_url=ELSEWHERE) as lease:
                sockets.add(lease.services.valkey_url)
                subprocess.run(["test", "-S", lease.services.valkey_url.removeprefix("unix://")], check=True)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sockets) == 1
    assert eventually(lambda: nothing_runs(data_dir))


def test_nothing_starts_when_both_are_elsewhere() -> None:
    with data_directory(new=True) as untouched:
        with hold(untouched, postgres_url=ELSEWHERE, valkey_url="redis://cache.example") as lease:
            assert lease.services.postgres_url == ELSEWHERE
            assert lease.services.valkey_url == "redis://cache.example"
        assert not untouched.exists()


def test_a_server_is_started_only_for_a_lease_that_wants_it(data_dir: Path) -> None:
    with hold(data_dir, postgres_url=ELSEWHERE) as one:
        assert one.services.postgres_url == ELSEWHERE
        assert running(data_dir)["valkey"]
        assert not running(data_dir)["postgres"]
        with hold(data_dir, valkey_url="redis://cache.example") as other:
            assert other.services.valkey_url == "redis://cache.example"
            assert running(data_dir)["postgres"]


def test_a_program_started_by_the_holder_does_not_inherit_the_lease(data_dir: Path) -> None:
    with hold(data_dir, postgres_url=ELSEWHERE):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        assert eventually(lambda: nothing_runs(data_dir))
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("name", ["long-" * 30, "a b,c:d=é&%41"])
async def test_a_path_that_suits_no_socket_has_them_in_a_short_private_directory(name: str) -> None:
    with data_directory(name) as awkward:
        with hold(awkward) as lease:
            stand_in = Path(lease.services.valkey_url.removeprefix("unix://")).parent.parent
            assert awkward not in stand_in.parents
            assert stand_in.stat().st_mode & 0o066 == 0
            assert (stand_in / "postgres").stat().st_mode & 0o077 == 0
            with hold(awkward) as second:
                await write_row(second.services.postgres_url, 7)
                assert 7 in await read_rows(lease.services.postgres_url)
        assert eventually(lambda: nothing_runs(awkward))
        assert not stand_in.exists()


def test_data_of_another_major_version_is_refused_in_clear_words() -> None:
    with data_directory() as old:
        (old / "postgres" / "PG_VERSION").write_text("14\n")
        with pytest.raises(EmbeddedServiceError, match=r"made by PostgreSQL 14(.|\n)*EXCHANGE_POSTGRES_URL"):
            hold(old)
        assert eventually(lambda: nothing_runs(old))


def test_a_failure_shows_the_end_of_the_log(data_dir: Path) -> None:
    hold(data_dir).close()
    configuration = data_dir / "postgres" / "postgresql.auto.conf"
    sound = configuration.read_text()
    try:
        configuration.write_text("no_such_setting = 1\n")
        with pytest.raises(
            EmbeddedServiceError, match=r"postgres\.log(.|\n)*no_such_setting(.|\n)*EXCHANGE_POSTGRES_URL"
        ):
            hold(data_dir)
    finally:
        configuration.write_text(sound)
    assert eventually(lambda: nothing_runs(data_dir))


def test_something_else_in_the_place_of_the_cluster_is_left_alone() -> None:
    with data_directory(new=True) as taken:
        (taken / "postgres").mkdir(parents=True)
        (taken / "postgres" / "thesis.txt").write_text("years of work")
        with pytest.raises(EmbeddedServiceError, match="something else than a Postgres cluster"):
            hold(taken)
        assert (taken / "postgres" / "thesis.txt").read_text() == "years of work"
        assert eventually(lambda: nothing_runs(taken))


def test_a_file_in_the_place_of_the_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(EmbeddedServiceError, match="EXCHANGE_DATA_DIR"):
        hold(tmp_path / "data")
