"""The farm as a process: it says when it is ready, serves, and stops when told or when its parent is gone."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from exchange.ports import free_port, free_ports
from exchange.simulation.buyers import main
from exchange.simulation.manners import demo_buyers

COMMAND = (sys.executable, "-m", "exchange.simulation.buyers")
PING = b'{"ping_id": "p", "lead": {"zip": "60601"}}'


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A farm, and the line that it prints when it is ready."""
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline()
        finally:
            process.kill()


def bid_at(port: int) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/bid", PING, {"Exchange-Order": "o", "Exchange-Timeout-Ms": "100"})
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(number: signal.Signals, tmp_path: Path) -> None:
    base = free_ports(3)
    with running("--port", str(base), "--count", "3", "--log-dir", str(tmp_path)) as (process, line):
        assert line == f"3 buyers ready on 127.0.0.1:{base}-{base + 2}\n"
        assert b'"5.80"' in bid_at(base + 2)
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert b'"p"' in (tmp_path / "buyer-03.jsonl").read_bytes()


def test_on_a_leash_it_stops_when_its_input_ends() -> None:
    with running("--port", str(free_port()), "--count", "1", "--leash") as (process, line):
        assert line
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0


def test_without_a_leash_the_end_of_its_input_is_nothing_to_it() -> None:
    base = free_port()
    with running("--port", str(base), "--count", "1") as (process, line):
        assert line
        assert process.stdin is not None
        process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert b'"5.00"' in bid_at(base)


def test_the_demos_buyers_are_those_of_the_example_market(tmp_path: Path) -> None:
    base = free_ports(len(demo_buyers()))
    with running("--port", str(base), "--demo", "--log-dir", str(tmp_path)) as (_, line):
        assert line.startswith(f"{len(demo_buyers())} buyers ready")
        assert b"unauthorized" in bid_at(base)
    assert {path.stem for path in tmp_path.iterdir()} == {manners.name for manners in demo_buyers()}


def test_a_port_that_is_taken_is_said_and_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["--port", str(taken.getsockname()[1]), "--count", "1"]) == 1
    assert "cannot start" in capsys.readouterr().err
