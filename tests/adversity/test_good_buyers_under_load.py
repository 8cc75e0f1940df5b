"""The load test of bad buyers, cut short: it passes against a real gateway."""

import asyncio
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "loadtests/bad_buyers.py"
LIMIT_S = 90


async def test_ten_good_buyers_among_forty_bad_ones_win_as_before() -> None:
    status, said = await run("--seconds", "5", "--rate", "4")  # on a machine that is busy besides, too
    assert status == 0, said
    assert "with the bad ones" in said


async def run(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), *arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    return process.returncode, said.decode()
