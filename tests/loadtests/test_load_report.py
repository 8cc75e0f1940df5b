"""A short `make load`: every kind of load, the money, the report; and limits that do not hold end it with status 1."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

LOADTESTS = Path(__file__).parents[2] / "loadtests"
SCENARIOS = ("steady", "campaign-start", "burst", "flood", "slow-buyers")


def run(folder: Path, *options: str) -> tuple["subprocess.CompletedProcess[str]", str]:
    """A run of two leads a second; its report's page."""
    command = [sys.executable, str(LOADTESTS / "load.py"), "--rate", "2", "--out", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    page = folder / "index.html"
    return done, page.read_text() if page.exists() else ""


@pytest.mark.timeout(300)
def test_a_short_load_is_answered_rightly_and_its_report_says_so(tmp_path: Path) -> None:
    done, page = run(tmp_path, "--seconds", "18", "--p99-ms", "60000")
    said = done.stdout + done.stderr
    failed = re.findall(r"^FAILED  (.*)", said, re.MULTILINE)
    assert [line for line in failed if not line.startswith("turned away")] == [], said  # a busy machine may turn away
    assert done.returncode == (1 if failed else 0), said
    assert re.search(r"ok +three witnesses .* they agree", said)
    assert re.search(r"ok +exchange doctor .* nothing wrong", said)
    assert re.findall(r"<h3>(.*?)</h3>", page) == list(SCENARIOS)
    for heading in ("What had to hold", "The money", "The machine"):
        assert f"<h2>{heading}</h2>" in page
    [pings, posts, sales] = map(int, re.findall(r"(\d+) pings and (\d+) posts in 18 seconds, (\d+) sales", page)[0])
    assert pings >= posts >= sales > 0
    assert page.count("data:image/svg+xml;base64,") == 6
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.timeout(300)
def test_a_limit_that_does_not_hold_fails_the_run(tmp_path: Path) -> None:
    done, page = run(tmp_path, "--seconds", "5", "--only", "steady", "--p99-ms", "0.01")
    assert done.returncode == 1, done.stderr
    assert re.search(r"^FAILED +ping p99", done.stdout, re.MULTILINE)
    assert "did not hold" in page
    assert "<td>ping p99</td><td>at most 0 ms</td>" in page
