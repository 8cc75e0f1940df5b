"""The measuring scripts that start servers of their own still run, and their answers are right."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "loadtests"))  # a folder of scripts, not a package

from load import CALM, FLOODING, World, buyers, demo_world

LOADTESTS = Path(__file__).parents[2] / "loadtests"
LIVE_RUNS: dict[str, tuple[list[str], str]] = {
    "drain.py": (["--sellers", "2"], "none lost, none made twice"),
    "takeover_turns.py": (["--orders", "300", "--filters", "20", "--schedules", "5", "--swaps", "1"], "longest"),
    "two_workers.py": (
        ["--seconds", "1", "--rounds", "2", "--rate", "20", "--times-max", "100"],
        "two / one: ",
    ),
    "overload.py": (
        ["--seconds", "2", "--peak-seconds", "0.5", "--peaks", "1", "--turns", "1", "--turn-seconds", "1", "--report"],
        "us a refusal",
    ),
    "metrics_cost.py": (
        ["--seconds", "0.5", "--rounds", "1", "--rate", "10", "--cost-max", "100000"],
        "by pairs ",
    ),
    "swap_delay.py": (
        ["--orders", "200", "--fanout", "2", "--rate", "20", "--swaps", "1", "--settle-s", "0.2"],
        "while a market is taken up",
    ),
    "slow_clients.py": (
        ["--slow", "60", "--rate", "20", "--seconds", "1", "--spans", "1", "--times-max", "1000"],
        "p50 beside / without: ",
    ),
}
"""With limits of time that hold on any machine."""
WITHOUT_GCC = {"drain.py"}
"""The others take their load from the benchmark kit, which is compiled."""
BUSY = {"swap_delay.py": "not offered: "}
"""What says that the machine was too busy to answer, and is no defect of the script."""


def skip_without(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def run(name: str, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(LOADTESTS / name), *options], capture_output=True, text=True, check=False, timeout=220
    )


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", LIVE_RUNS)
def test_a_short_run_with_servers_ends_well(name: str) -> None:
    if name not in WITHOUT_GCC:
        skip_without("gcc")
    options, said = LIVE_RUNS[name]
    done = run(name, *options)
    was_busy = done.returncode == 1 and name in BUSY and done.stderr.startswith(BUSY[name])
    assert done.returncode == 0 or was_busy, done.stdout + done.stderr
    assert said in done.stdout


@pytest.mark.timeout(240)
def test_a_dashboard_is_drawn_in_a_short_run(tmp_path: Path) -> None:
    skip_without("prometheus")
    times = ("--seconds", "4", "--way-in-s", "1", "--rate", "5")
    done = run("dashboard_pictures.py", *times, "--only", "engine", "--out", str(tmp_path))
    assert (tmp_path / "engine.png").read_bytes().startswith(b"\x89PNG"), done.stderr
    empty = re.findall(r"^EMPTY: engine: ", done.stdout, re.MULTILINE)  # most rates need more than four seconds
    dashboard = json.loads((LOADTESTS.parent / "deploy/grafana/dashboards/engine.json").read_text())
    assert len(empty) < sum("targets" in panel for panel in dashboard["panels"])
    assert done.returncode == (1 if empty else 0), done.stderr


@pytest.fixture(scope="module")
def demo() -> Iterator[tuple[str, World]]:
    """The example market at work; the gateway's address."""
    with demo_world() as world, buyers(world, 1, 0), world.exchange.serving() as url:
        yield url, world


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("p99_ms", "status"), [("60000", 0), ("0.001", 1)])
def test_sellers_who_do_not_wait_are_answered_and_timed(
    demo: tuple[str, World], tmp_path: Path, p99_ms: str, status: int
) -> None:
    url, world = demo
    keys = ("--host", url, "--key", world.keys[CALM], "--flood-key", world.keys[FLOODING])
    limits = ("--ping-p99-ms", p99_ms, "--post-p99-ms", "60000", "--shed", "1")
    load = ("--scenario", "flood", "--seconds", "3", "--rate", "8", "--seed", p99_ms.partition(".")[0])
    done = run("open_loop.py", *keys, *limits, *load, "--out", str(tmp_path / "samples.json"))
    assert done.returncode == status, done.stdout + done.stderr
    assert len(re.findall(r"^FAILED +ping p99", done.stdout, re.MULTILINE)) == status
    samples = json.loads((tmp_path / "samples.json").read_text())["samples"]
    assert {sample["seller"] for sample in samples} == {"calm", "flood"}
    assert {sample["what"] for sample in samples} == {"ping", "post"}
