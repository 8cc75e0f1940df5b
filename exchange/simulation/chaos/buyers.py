"""All buyers of a run as a process of their own: `python -m exchange.simulation.chaos.buyers SPEC`."""

import asyncio
import os
import signal
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import uvloop

from exchange.simulation.chaos.buyer import Buyer
from exchange.simulation.chaos.conduct import Temper
from exchange.simulation.chaos.diary import Diary, Seen, read_diary

CALM = signal.SIGUSR1
"""From then on every answer arrives."""


@dataclass(frozen=True, slots=True)
class Spec:
    """Who they are, and where each keeps his diary."""

    seed: int
    folder: str
    tempers: tuple[Temper, ...]

    def write(self, path: Path) -> None:
        path.write_bytes(orjson.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Spec":
        found: dict[str, Any] = orjson.loads(path.read_bytes())
        return cls(found["seed"], found["folder"], tuple(Temper(**item) for item in found["tempers"]))


def diary_of(folder: Path, buyer: str) -> Path:
    """Where a buyer keeps his diary."""
    return folder / f"{buyer}.jsonl"


async def serve(spec: Spec) -> None:
    """Serves until standard input ends; the first line of output has every buyer's port."""
    folder, loop, stop = Path(spec.folder), asyncio.get_running_loop(), asyncio.Event()
    with ExitStack() as stack:
        buyers = []
        for temper in spec.tempers:
            path = diary_of(folder, temper.name)
            before = list(read_diary(path, Seen)) if path.exists() else []
            buyers.append(Buyer(temper, spec.seed, stack.enter_context(Diary(path))))
            buyers[-1].remember(before)

        def calm() -> None:
            for buyer in buyers:
                buyer.calm = True

        def on_leash() -> None:
            if not os.read(0, 4096):
                loop.remove_reader(0)
                stop.set()

        loop.add_signal_handler(CALM, calm)
        loop.add_signal_handler(signal.SIGTERM, stop.set)
        loop.add_reader(0, on_leash)
        ports = {buyer.temper.name: await buyer.open() for buyer in buyers}
        sys.stdout.buffer.write(orjson.dumps(ports) + b"\n")
        sys.stdout.flush()
        await stop.wait()
        for buyer in buyers:
            await buyer.close()


if __name__ == "__main__":
    found = Spec.read(Path(sys.argv[1]))
    Path(found.folder).mkdir(parents=True, exist_ok=True)
    uvloop.run(serve(found))
