"""The image, built without an engine: the Dockerfile's own commands, run in a folder of their own.

Installing takes half a minute and the package index; it is done once.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from typer.main import get_command

from exchange.cli import app

ROOT = Path(__file__).parents[1]
INSTALLED_AT = "/opt/exchange"

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Stage:
    """One stage of the Dockerfile: what it starts from, and its instructions as (word, rest)."""

    base: str
    steps: list[tuple[str, str]]

    def all(self, word: str) -> list[str]:
        return [rest for found, rest in self.steps if found == word]

    def one(self, word: str) -> str:
        (rest,) = self.all(word)
        return rest


def read_stages() -> tuple[Stage, ...]:
    text = "".join(line for line in (ROOT / "Dockerfile").read_text().splitlines(True) if not line.startswith("#"))
    lines = [line.split(maxsplit=1) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    stages: list[Stage] = []
    for word, rest in lines:
        if word == "FROM":
            stages.append(Stage(rest, []))
        else:
            stages[-1].steps.append((word, " ".join(rest.split())))
    return tuple(stages)


BUILD, FINAL = read_stages()
COPIED = [(*sources, target) for *sources, target in map(shlex.split, BUILD.all("COPY"))]
HEALTH_CHECK: list[str] = json.loads(FINAL.one("HEALTHCHECK").partition("CMD ")[2])
COMMAND: list[str] = json.loads(FINAL.one("CMD"))


def test_everything_that_is_copied_exists_and_reaches_the_build() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {source for *found, _ in COPIED for source in found}
    assert all((ROOT / source).exists() for source in sources)
    assert sources == let_through


def test_both_stages_have_the_same_python() -> None:
    assert BUILD.base == "python:3.11-bookworm AS build"
    assert FINAL.base == "python:3.11-slim-bookworm"
    assert FINAL.one("COPY") == f"--from=build {INSTALLED_AT} {INSTALLED_AT}"


def test_it_does_not_run_as_root() -> None:
    user = FINAL.one("USER")
    assert user not in {"root", "0"}
    assert FINAL.steps.index(("USER", user)) > max(FINAL.steps.index(("RUN", run)) for run in FINAL.all("RUN"))
    assert f"--owner={user}" in FINAL.one("RUN")


def test_it_holds_no_secret() -> None:
    named = [name for rest in FINAL.all("ENV") + BUILD.all("ENV") for name in re.findall(r"(\w+)=", rest)]
    assert named == ["PATH", "PYTHONDONTWRITEBYTECODE", "EXCHANGE_DATA_DIR"]
    assert not BUILD.all("ARG") + FINAL.all("ARG")


def test_it_serves_with_its_data_in_a_volume() -> None:
    assert (FINAL.one("EXPOSE"), FINAL.one("VOLUME")) == ("8000", "/data")
    assert "EXCHANGE_DATA_DIR=/data" in FINAL.one("ENV")
    program, name, *options = COMMAND
    assert program == "exchange"
    known = {option for item in get_command(app).commands[name].params for option in item.opts}  # type: ignore[attr-defined]
    assert {option for option in options if option.startswith("-")} <= known


@dataclass(frozen=True)
class Installed:
    """The service as the image has it, with a data directory of its own."""

    home: Path
    data: Path

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.home}/bin:/usr/bin:/bin", "HOME": str(self.data), "EXCHANGE_DATA_DIR": str(self.data)}

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        found = shutil.which(command[0], path=self.environment["PATH"])
        assert found is not None
        return subprocess.run(
            [found, *command[1:]],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def serving(self) -> Iterator[tuple[subprocess.Popen[str], int]]:
        """The image's command on a free port."""
        with subprocess.Popen(
            [f"{self.home}/bin/{COMMAND[0]}", *COMMAND[1:], "--port", "0"],
            cwd=self.data,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stderr is not None
                found = (re.search(r"serving on http://[^:]+:(\d+)", line) for line in process.stderr)
                yield process, next(int(match[1]) for match in found if match)
            finally:
                process.kill()

    def is_healthy(self, port: int) -> bool:
        return self.run(*[word.replace(":8000/", f":{port}/") for word in HEALTH_CHECK]).returncode == 0


@pytest.fixture(scope="module")
def installed() -> Iterator[Installed]:
    """What the build stage's commands make of what it copies."""
    with TemporaryDirectory(prefix="exchange-image-") as folder:
        source, home, data = (Path(folder) / name for name in ("source", "exchange", "data"))
        for *found, target in COPIED:
            for name in found:
                place = source / (target if target.rstrip("/") != "." else name)
                place.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, place)
        environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        command = BUILD.one("RUN").replace(INSTALLED_AT, str(home))
        made = subprocess.run(
            shlex.split(command),
            cwd=source,
            env=environment | {"PYTHON": sys.executable},
            capture_output=True,
            text=True,
            timeout=840,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        data.mkdir(mode=0o711)
        yield Installed(home, data)


def test_the_installed_service_is_whole(installed: Installed) -> None:
    shown = installed.run("exchange", "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    asked = installed.run(
        "python",
        "-c",
        "import exchange\n"
        "from exchange.geodata.centroids import known\n"
        "from exchange.simulation.market import render_demo_market\n"
        "from exchange.storage.migrate import migrations_folder, read_migrations\n"
        "print(exchange.__path__[0], *read_migrations(migrations_folder()), len(render_demo_market(9201)), sep='\\n')\n"
        "print(known().knows('60601'))",
    )
    assert asked.returncode == 0, asked.stderr
    package, *migrations, market_bytes, knows_places = asked.stdout.splitlines()
    assert Path(package).is_relative_to(installed.home)
    assert migrations == sorted(path.stem for path in (ROOT / "migrations").glob("*.sql"))
    assert int(market_bytes) > 1_000
    assert knows_places == "True"


def test_only_what_the_lock_says_is_installed(installed: Installed) -> None:
    listed = installed.run("python", "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check")
    names = {line.partition("==")[0].lower().replace("_", "-") for line in listed.stdout.splitlines()}
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements/release.txt").read_text(), re.MULTILINE))
    assert names - locked == {"lead-exchange", "pip", "setuptools"} & names


def test_the_health_check_tells_a_gateway_that_sells_from_one_that_does_not(installed: Installed) -> None:
    rendered = installed.run(
        "python", "-c", "from exchange.simulation import market; print(market.render_demo_market(1))"
    )
    market = installed.data / "market.yaml"
    market.write_text(rendered.stdout)
    with installed.serving() as (process, port):
        assert not installed.is_healthy(port)  # no market yet
        applied = installed.run("exchange", "apply", str(market), "--yes")
        assert "Market version 1 is in force." in applied.stdout, applied.stderr
        assert any(installed.is_healthy(port) for _ in range(20))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert not installed.is_healthy(port)
