"""The measuring scripts still run, and their answers are right; how fast they are is not for a test to say."""

import subprocess
import sys
from pathlib import Path

import pytest

LOADTESTS = Path(__file__).parents[2] / "loadtests"
MATCHING = ["--orders", "400", "--filters", "40", "--eligible", "1-40", "--leads", "10", "--repeats", "2"]
RUNS = {
    "matching_speed.py": MATCHING,
    "matching_speed.py, mixed": [*MATCHING, "--mixed", "--patterns"],
    "matching_speed.py, with hours": [*MATCHING, "--schedules", "5"],
    "auction_speed.py": ["--orders", "12", "--auctions", "5", "--repeats", "2"],
    "fanout_speed.py": ["--fanout", "2", "--pings", "40", "--rounds", "1", "--concurrency", "2"],
    "fanout_cost.py": ["--fanout", "1,2,4", "--calls", "80", "--rounds", "1", "--off-max", "10000"],
}


@pytest.mark.parametrize("name", RUNS)
def test_a_short_run_ends_well(name: str) -> None:
    command = [sys.executable, str(LOADTESTS / name.split(",", maxsplit=1)[0]), *RUNS[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert " us" in done.stdout
