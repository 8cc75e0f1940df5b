"""The limits of the ping engine: how many connections, how long for each step, how long kept."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of each endpoint, but for `sockets_max`, which holds for all endpoints of a process together.

    Past `connections_max` a call is `BUSY`; it never queues for more than the `dials_max` that connect at a time.
    """

    connections_max: int = 1_000
    sockets_max: int = 20_000
    dials_max: int = 32
    connect_s: float = 1.0
    handshake_s: float = 2.0
    idle_s: float = 30.0
    age_s: float = 600.0
    drain_s: float = 10.0
    sweep_s: float = 1.0
    name_fresh_s: float = 30.0
    name_retry_s: float = 2.0
    name_wait_s: float = 2.0
