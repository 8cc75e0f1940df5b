"""Each command's module can be the first that a process imports; tests fork commands from one that has them all."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOREIGN = "asyncpg fastapi httpx phonenumbers pydantic_settings redis.asyncio rich.console structlog typer uvicorn"
IMPORTING = """
import gc, importlib, os, sys, traceback
foreign, own = sys.argv[1].split(), sys.argv[2].split()
for name in foreign:
    importlib.import_module(name)
gc.freeze()
failed = []
for name in own:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
sys.exit(" ".join(failed) or 0)
"""
"""Imports what is not ours once, and each of our modules in a process that has none of them yet."""


def test_each_module_of_a_command_can_be_imported_first() -> None:
    names = [f"exchange.commands.{path.stem}" for path in sorted((ROOT / "exchange/commands").glob("[a-z]*.py"))]
    assert len(names) > 15
    own = " ".join(["exchange.cli", "exchange.gateway", "exchange.worker", *names])
    done = subprocess.run([sys.executable, "-c", IMPORTING, FOREIGN, own], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
