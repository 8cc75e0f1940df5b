"""The benchmark kit's parts for other load tests: the farm of buyers, the load generator, and what a process uses."""

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent / "bench"
sys.path.append(str(BENCH))  # the kit is a folder of scripts, not a package

from gateways import DIRECT, Failed, Farm, Running, build, load, project  # noqa: E402  # only now can it be found

__all__ = ["BENCH", "DIRECT", "Failed", "Farm", "Running", "build", "load", "make_market", "project"]


def make_market(folder: Path, **options: int) -> None:
    """Writes a market and what it must answer into a folder; options are those of `make_market.py`."""
    flags = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, str(BENCH / "make_market.py"), "--out", str(folder), *flags]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
