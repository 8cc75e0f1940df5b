"""Whatever dies, and however: no server is left over, none is lost to those who still use it, and no row is lost."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedded_holders import (
    Holder,
    data_directory,
    eventually,
    nothing_runs,
    pid_of,
    read_rows,
    running,
    stranger,
    write_row,
)

from exchange.embedded.lease import hold


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    with data_directory() as directory:
        yield directory


@pytest.fixture
def data_dir(made: Path) -> Iterator[Path]:
    yield made
    assert eventually(lambda: nothing_runs(made))


def test_a_killed_holder_takes_nobody_elses_servers_with_it(data_dir: Path) -> None:
    with Holder(data_dir) as one, Holder(data_dir) as other:
        assert one.urls() == other.urls() != []
        postmaster = pid_of(data_dir, "postgres")
        one.process.kill()
        one.process.wait()
        with hold(data_dir):  # the keeper has taken note of the death by the time this lease is given back
            pass
        assert pid_of(data_dir, "postgres") == postmaster
        other.process.kill()
        assert eventually(lambda: nothing_runs(data_dir))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_holders_terminal_leaves_no_orphan(data_dir: Path, how: signal.Signals) -> None:
    with Holder(data_dir) as holder:
        assert holder.urls()
        os.killpg(holder.process.pid, how)
        assert eventually(lambda: nothing_runs(data_dir))


def test_a_start_whose_holder_is_killed_is_broken_off() -> None:
    with data_directory(new=True) as fresh, Holder(fresh) as holder:
        assert eventually(lambda: any(fresh.glob("postgres.new-*")))
        holder.process.kill()
        assert eventually(lambda: nothing_runs(fresh))
        assert not list((fresh / "postgres").iterdir())


def test_a_terminated_keeper_stops_everything_and_stays_away(data_dir: Path) -> None:
    with Holder(data_dir) as holder:
        assert holder.urls()
        os.kill(int((data_dir / "owner.pid").read_text()), signal.SIGTERM)
        assert eventually(lambda: nothing_runs(data_dir))
        holder.leave()


async def test_a_killed_keeper_is_replaced_for_those_who_still_hold(data_dir: Path) -> None:
    with hold(data_dir) as lease:
        await write_row(lease.services.postgres_url, 1)
        killed = pid_of(data_dir, "keeper")
        postmaster = pid_of(data_dir, "postgres")
        os.kill(killed, signal.SIGKILL)
        assert eventually(lambda: [p.pid for p in running(data_dir)["postgres"]] not in ([], [postmaster]))
        with hold(data_dir) as attached:
            assert attached.services == lease.services
            assert 1 in await read_rows(lease.services.postgres_url)
        assert pid_of(data_dir, "keeper") != killed


async def test_what_a_killed_keeper_left_behind_is_cleared_and_the_rows_are_there(data_dir: Path) -> None:
    with Holder(data_dir) as holder:
        postgres_url, _ = holder.urls()
        await write_row(postgres_url, 2)
        orphans = {pid_of(data_dir, "postgres"), pid_of(data_dir, "valkey")}
        holder.process.send_signal(signal.SIGSTOP)  # so that it cannot call another keeper
        os.kill(pid_of(data_dir, "keeper"), signal.SIGKILL)
    assert {pid_of(data_dir, "postgres"), pid_of(data_dir, "valkey")} == orphans
    with hold(data_dir) as lease:
        assert not orphans & {pid_of(data_dir, "postgres"), pid_of(data_dir, "valkey")}
        assert 2 in await read_rows(lease.services.postgres_url)


async def test_rows_survive_when_everything_is_killed_at_once(data_dir: Path) -> None:
    with Holder(data_dir) as holder:
        await write_row(holder.urls()[0], 3)
        holder.process.send_signal(signal.SIGSTOP)
        found = running(data_dir)
        for process in (*found["keeper"], *found["postgres"], *found["children"], *found["valkey"]):
            os.kill(process.pid, signal.SIGKILL)
    with hold(data_dir) as lease:
        assert 3 in await read_rows(lease.services.postgres_url)


@pytest.mark.parametrize("name", ["postgres", "valkey"])
def test_a_server_that_crashes_is_started_again(data_dir: Path, name: str) -> None:
    with hold(data_dir):
        killed = pid_of(data_dir, name)
        os.kill(killed, signal.SIGKILL)
        assert eventually(lambda: [p.pid for p in running(data_dir)[name]] not in ([], [killed]))


async def test_a_process_that_has_come_by_the_id_of_a_crashed_server_is_left_alone(data_dir: Path) -> None:
    with Holder(data_dir) as holder:
        await write_row(holder.urls()[0], 4)
        holder.process.send_signal(signal.SIGSTOP)
        os.kill(pid_of(data_dir, "keeper"), signal.SIGKILL)
        found = running(data_dir)
        for process in (*found["postgres"], *found["children"], *found["valkey"]):
            os.kill(process.pid, signal.SIGKILL)
    assert eventually(lambda: nothing_runs(data_dir))
    with stranger() as other:
        for pid_file in (data_dir / "postgres" / "postmaster.pid", data_dir / "postgres.pid", data_dir / "valkey.pid"):
            _, rest = pid_file.read_text().split("\n", 1)
            pid_file.write_text(f"{other.pid}\n{rest}")
        with hold(data_dir) as lease:
            assert 4 in await read_rows(lease.services.postgres_url)
        assert other.poll() is None


async def test_a_cluster_that_was_not_finished_is_made_anew() -> None:
    with data_directory(new=True) as fresh:
        with Holder(fresh) as holder:
            assert eventually(lambda: any(fresh.glob("postgres.new-*/global")))
            os.kill(pid_of(fresh, "keeper"), signal.SIGKILL)
            holder.process.kill()
        with hold(fresh) as lease:
            await write_row(lease.services.postgres_url, 1)
            assert not list(fresh.glob("postgres.new-*"))
        assert eventually(lambda: nothing_runs(fresh))


def test_everything_stops_when_the_data_directory_is_removed() -> None:
    with data_directory() as doomed, Holder(doomed) as holder:
        assert holder.urls()
        shutil.rmtree(doomed, ignore_errors=True)  # the servers are still writing into it
        assert eventually(lambda: nothing_runs(doomed))
