"""An exchange of a load test's own: commands, servers, and a gateway process, in a folder that is gone afterwards."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from exchange.embedded.lease import Services, hold

COMMAND = [sys.executable, "-m", "exchange.cli"]
LOG = "serve.log"
READY_S = 60
STOP_S = 60
POLL_S = 0.05


class Failed(Exception):
    """A command did not do what it was asked; the text is what it said."""


@contextmanager
def own_exchange(**variables: str) -> Iterator["Exchange"]:
    """An exchange with running servers; `variables` are set for its processes, the caller's own settings are not."""
    with TemporaryDirectory(prefix="exchange-load-") as name:
        folder = Path(name)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("EXCHANGE_")}
        own = {"EXCHANGE_DATA_DIR": str(folder / "data"), "EXCHANGE_ALLOW_PRIVATE_ADDRESSES": "1"}
        with hold(folder / "data") as lease:
            yield Exchange(folder, kept | own | variables, lease.services)


@dataclass(frozen=True)
class Exchange:
    """Where it lives, the environment of its processes, and its servers."""

    folder: Path
    environment: Mapping[str, str]
    services: Services

    def run(self, *arguments: str) -> str:
        """Runs one command to its end; what it printed. Raises Failed."""
        done = subprocess.run(
            [*COMMAND, *arguments], env=self.environment, capture_output=True, text=True, check=False, cwd=self.folder
        )
        if done.returncode:
            raise Failed(f"exchange {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def apply(self, market: Path | Mapping[str, Any]) -> None:
        """Puts a market in force: a file, or a document."""
        if not isinstance(market, Path):
            document, market = market, self.folder / "market.yaml"
            market.write_text(json.dumps(document))
        self.run("apply", str(market), "--yes")

    def new_key(self, seller: str) -> str:
        return self.run("keys", "create", "--seller", seller).strip()

    def log(self) -> str:
        """What the gateway has said."""
        return (self.folder / LOG).read_text()

    @contextmanager
    def serving(self, *options: str) -> Iterator[str]:
        """A gateway on a free port while this lasts; its URL. `options` are further ones of `exchange serve`."""
        path = self.folder / LOG
        command = [*COMMAND, "serve", "--leashed", "--port", "0", *options]  # it ends with us, even if we are killed
        with path.open("wb") as log:
            process = subprocess.Popen(
                command,
                env=self.environment,
                stdin=subprocess.PIPE,
                stderr=log,
                stdout=log,
                cwd=self.folder,
                start_new_session=True,  # as a service has one: in the terminal's it would have a part of its CPU time
            )
        try:
            yield _url(process, path)
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdin is not None
            process.stdin.close()


def _url(process: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline_s = time.monotonic() + READY_S
    while time.monotonic() < deadline_s:
        if match := re.search(r"serving on (http://\S+)", log.read_text()):
            return match[1]
        if process.poll() is not None:
            break
        time.sleep(POLL_S)
    raise Failed(f"the gateway did not start: {log.read_text().strip()}")
