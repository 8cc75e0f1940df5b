"""Finds the keeper of a data directory, or starts one, and asks it for servers until there is an answer."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import exchange
from exchange.embedded.keeper import ANOTHER_KEEPS, BYE, STOPPING
from exchange.embedded.places import Places, keeper_socket, log_size, log_tail, open_log
from exchange.errors import EmbeddedServiceError
from exchange.values.deadline import Deadline

KEEPER_START_S_MAX = 30.0
RETRY_S_MIN, RETRY_S_MAX = 0.02, 0.5
_REMEDY = (
    "set EXCHANGE_DATA_DIR to another directory, or EXCHANGE_POSTGRES_URL and EXCHANGE_VALKEY_URL to servers of yours"
)


@dataclass(frozen=True, slots=True)
class Grant:
    """An open connection to the keeper, which is what keeps the servers running, and what the keeper said."""

    connection: socket.socket
    lines: BinaryIO
    urls: dict[str, str]
    notices: tuple[str, ...]

    def say_bye(self) -> None:
        with suppress(OSError):  # the keeper may have ended already
            self.connection.sendall(BYE)

    def hang_up(self) -> None:
        self.lines.close()
        self.connection.close()


def acquire(places: Places, wanted: Sequence[str], wait_s: float) -> Grant:
    """An open connection to a keeper whose `wanted` servers answer.

    Raises EmbeddedServiceError if they do not within `wait_s` seconds, or cannot.
    """
    deadline = Deadline.after_ms(wait_s * 1000)
    since = log_size(places.keeper_log)
    pause_s = RETRY_S_MIN
    try:
        _make_data_dir(places.data_dir)
        while deadline.remaining_s() > 0:
            connection = _connect(places)
            if connection is not None:
                granted = _ask(connection, wanted, deadline)
                if granted is not None:
                    return granted
            elif _start_keeper(places):
                continue
            time.sleep(pause_s)  # until a keeper that is just starting listens, or one that is just stopping has ended
            pause_s = min(2 * pause_s, RETRY_S_MAX)
    except TimeoutError:
        pass  # the same as not having been answered at all
    except OSError as error:
        raise EmbeddedServiceError(
            f"{places.data_dir} cannot be used: {error}. Run as its owner, or {_REMEDY}."
        ) from error
    tail = log_tail(places.keeper_log, since)
    raise EmbeddedServiceError(
        f"The servers of {places.data_dir} did not answer within {wait_s:g} s; {_REMEDY}.\n"
        f"The last lines of {places.keeper_log}:\n{tail}"
    )


def _make_data_dir(data_dir: Path) -> None:
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    try:
        data_dir.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700)  # root's servers run as another user
    except FileExistsError:
        if not data_dir.is_dir():
            raise


def _connect(places: Places) -> socket.socket | None:
    sockets = places.sockets()
    if sockets is None:
        return None
    connection = socket.socket(socket.AF_UNIX)  # not inherited by programs that we start
    try:
        connection.connect(str(keeper_socket(sockets)))
    except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
        connection.close()
        return None
    except OSError:
        connection.close()
        raise
    return connection


def _start_keeper(places: Places) -> bool:
    """Starts a keeper. True when it can be asked, False if another one is in charge or was a moment ago."""
    since = log_size(places.keeper_log)
    output = open_log(places.keeper_log)
    try:
        status = subprocess.run(  # noqa: S603  # our own module, no shell
            [sys.executable, "-P", "-m", "exchange.embedded.keeper", str(places.data_dir)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=_keeper_environment(),
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
            timeout=KEEPER_START_S_MAX,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        status = 1
    finally:
        os.close(output)
    if status in {0, ANOTHER_KEEPS}:
        return status == 0
    tail = log_tail(places.keeper_log, since)
    raise EmbeddedServiceError(f"No keeper could be started for {places.data_dir}; {_REMEDY}. It said:\n{tail}")


def _keeper_environment() -> dict[str, str]:
    """Ours, and the way to this very package where it is not installed."""
    home = str(Path(exchange.__path__[0]).parent)
    known = os.environ.get("PYTHONPATH", "")
    if home.endswith("-packages") or home in known.split(os.pathsep):
        return dict(os.environ)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [known, home]))}


def _ask(connection: socket.socket, wanted: Sequence[str], deadline: Deadline) -> Grant | None:
    """The keeper's grant; None if it hung up, being about to stop. Raises EmbeddedServiceError if it refuses."""
    lines = connection.makefile("rb")
    answer: dict[str, Any] = {}
    granted = None
    try:
        connection.settimeout(max(deadline.remaining_s(), RETRY_S_MIN))
        connection.sendall(json.dumps({"want": list(wanted)}).encode() + b"\n")
        said = next((line for line in lines if line != STOPPING), b"")
        if said.endswith(b"\n"):
            answer = json.loads(said)
        connection.settimeout(None)
        if "urls" in answer:
            granted = Grant(connection, lines, answer["urls"], tuple(answer["notices"]))
    except (BrokenPipeError, ConnectionResetError):
        pass  # it hung up
    finally:
        if granted is None:
            lines.close()
            connection.close()
    if "error" in answer:
        raise EmbeddedServiceError(answer["error"])
    return granted
