"""The page of a process without a door: its figures for those who may read them, and whether its event loop turns."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from exchange.observe import pulse as pulses
from exchange.observe.page import show
from exchange.observe.pulse import Pulse
from exchange.observe.readers import Readers
from exchange.ports import HOST, free_port


class Nobody(Readers):
    """Admits nobody: tests have no peer on the Internet."""

    def admit(self, peer: str, authorization: str) -> bool:  # noqa: ARG002  # as if all came from afar
        return False


@contextmanager
def page(*, alive: bool = True, readers: Readers | None = None) -> Iterator[httpx.Client]:
    port = free_port()
    end = show(HOST, port, text=lambda: b"figures 1\n", is_alive=lambda: alive, readers=readers or Readers(None))
    try:
        with httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False) as client:
            yield client
    finally:
        end()


def test_it_shows_figures_and_whether_the_process_lives() -> None:
    with page() as client:
        assert client.get("/metrics").text == "figures 1\n"
        assert client.get("/livez").status_code == 200
        assert client.get("/").status_code == 404
    with page(alive=False) as client:
        assert client.get("/livez").status_code == 503


def test_figures_are_not_for_everybody() -> None:
    with page(readers=Nobody(None)) as client:
        refused = client.get("/metrics")
        assert (refused.status_code, b"figures" in refused.content) == (403, False)
        assert client.get("/livez").status_code == 200


@pytest.mark.parametrize(
    ("peer", "authorization", "may"),
    [
        ("127.0.0.1", "", True),
        ("::1", "", True),
        ("10.1.2.3", "", True),
        ("8.8.8.8", "", False),
        ("8.8.8.8", "Bearer secret", True),
        ("8.8.8.8", "Bearer Secret", False),
        ("8.8.8.8", "secret", False),
        ("8.8.8.8", "Bearer None", False),
        ("somebody", "", False),
    ],
)
def test_who_may_read(peer: str, authorization: str, may: bool) -> None:
    assert Readers("secret").admit(peer, authorization) is may
    assert Readers(None).admit(peer, authorization) is (may and not authorization)


@pytest.mark.parametrize("authorization", ["Bearer ", "Bearer", ""])
def test_an_empty_token_opens_nothing(authorization: str) -> None:
    assert not Readers("").admit("8.8.8.8", authorization)


async def test_a_loop_that_does_not_turn_is_not_felt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulses, "STILL_S", 0.3)
    pulse = Pulse("worker")
    pulse.start()
    felt: list[bool] = []
    looking = threading.Timer(0.8, lambda: felt.append(pulse.is_felt()))
    looking.start()
    time.sleep(1)  # noqa: ASYNC251  # this is the loop that hangs
    looking.join()
    assert felt == [False]
    await pulse.close()
