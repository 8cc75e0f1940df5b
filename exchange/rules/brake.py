"""The brake of one endpoint: its two breakers, its limits, and a rest that its buyer asked for."""

from dataclasses import dataclass
from enum import StrEnum

from exchange.rules.breaker import Breaker, BreakerTerms, State
from exchange.rules.buckets import Bucket
from exchange.values.brakes import BreakerWish
from exchange.values.market import Endpoint
from exchange.values.reason import Reason

PROBES_MIN = 3
"""So many successes in a row close a breaker."""

NO_PINGS_S = 30.0
"""Where nobody has been pinged for so long since its rest, an endpoint's breaker for posts closes by time."""


class Phase(StrEnum):
    PING = "ping"
    POST = "post"


@dataclass(frozen=True, slots=True)
class Usual:
    """What holds where a market says nothing: see the settings of the same names."""

    shadow: bool = False
    failed_percent: int = 80
    calls_min: int = 100
    post_calls_min: int = 20
    window_s: float = 30.0
    post_window_s: float = 600.0
    rest_first_s: float = 5.0
    rest_longest_s: float = 300.0
    probe_percent: int = 5
    pause_after_s: float = 21_600.0

    def terms(self, wish: BreakerWish, phase: Phase) -> BreakerTerms:
        """What a breaker goes by that a market wishes so."""
        window_s, calls_min = wish.window_s or self.window_s, wish.calls_min or self.calls_min
        if phase is Phase.POST:
            window_s = wish.post_window_s or self.post_window_s
            calls_min = wish.post_calls_min or self.post_calls_min
        rest_first_s = wish.rest_first_s or self.rest_first_s
        return BreakerTerms(
            window_s=window_s,
            calls_min=calls_min,
            failed_percent=wish.failed_percent or self.failed_percent,
            rest_first_s=rest_first_s,
            rest_longest_s=max(rest_first_s, self.rest_longest_s),
            probe_percent=wish.probe_percent or self.probe_percent,
            probes_min=PROBES_MIN,
        )


class Brake:
    """What is known of one endpoint in one process.

    `is_looked_at` says that each ping has to ask `refusal`; `is_ailing` that a breaker is not closed. `calls` are the
    pings under way where they are limited, `share` is the part of the endpoint's limits that this process has.
    """

    __slots__ = (
        "_bucket",
        "_share",
        "_usual",
        "buyer",
        "calls",
        "endpoint",
        "is_ailing",
        "is_looked_at",
        "last_failure",
        "luck",
        "pause_after_s",
        "ping",
        "pinged_s",
        "post",
        "resting_until_s",
        "shadow",
        "why",
    )

    ping: Breaker
    post: Breaker

    def __init__(self, buyer: str, endpoint: Endpoint, usual: Usual, now_s: float, share: float = 1.0) -> None:
        self.buyer = buyer
        self.endpoint = endpoint
        self.calls = 0
        self.pinged_s = now_s
        self.luck = 0.5
        self.last_failure = {Phase.PING: "", Phase.POST: ""}
        self.why = {Phase.PING: "", Phase.POST: ""}
        self._usual = usual
        self._share = share
        self._bucket: Bucket | None = None
        self.shadow = usual.shadow
        self.reset(now_s)
        self.set(endpoint, now_s)

    @property
    def key(self) -> tuple[str, str]:
        """The buyer, and the name of his endpoint."""
        return self.buyer, self.endpoint.name

    def of(self, phase: Phase) -> Breaker:
        return self.ping if phase is Phase.PING else self.post

    def ailing(self) -> list[Phase]:
        """The phases whose breakers are not closed."""
        return [phase for phase in Phase if self.of(phase).state is not State.CLOSED]

    def is_at(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint is this one, though another market may say more of it: it has the same address."""
        return (self.endpoint.ping_url, self.endpoint.post_url) == (endpoint.ping_url, endpoint.post_url)

    def set(self, endpoint: Endpoint, now_s: float) -> None:
        """Goes on as the market in force says. An endpoint at another address is another one: it is well."""
        moves, self.endpoint = not self.is_at(endpoint), endpoint
        wish, usual = endpoint.breaker, self._usual
        self.shadow = usual.shadow if wish.shadow is None else wish.shadow
        self.pause_after_s = float(wish.pause_after_s or usual.pause_after_s)
        self.ping.set(usual.terms(wish, Phase.PING))
        self.post.set(usual.terms(wish, Phase.POST))
        if moves or not wish.enabled:
            self.reset(now_s)
        self._set_bucket(now_s)
        self.look()

    def reset(self, now_s: float) -> None:
        """Forgets what went wrong."""
        wish = self.endpoint.breaker
        self.ping = Breaker(self._usual.terms(wish, Phase.PING), now_s)
        self.post = Breaker(self._usual.terms(wish, Phase.POST), now_s)
        self.resting_until_s: float | None = None
        self.look()

    def have(self, share: float, now_s: float) -> None:
        """This process has another part of the endpoint's limits from now on."""
        if share != self._share:
            self._share = share
            self._set_bucket(now_s)

    def look(self) -> None:
        """Works out what each ping has to look at, after anything has changed."""
        ping = self.ping.state
        self.is_ailing = ping is not State.CLOSED or self.post.state is not State.CLOSED
        is_limited = self._bucket is not None or self.endpoint.in_flight_max is not None
        self.is_looked_at = is_limited or ping is State.HALF_OPEN or (self.shadow and ping is State.OPEN)

    def refusal(self, now_s: float) -> tuple[Reason, str] | None:
        """Why no ping may go there at the moment, or None: then it takes a token, and is under way."""
        at_most = self.endpoint.in_flight_max
        if at_most is not None and self.calls >= max(1, int(at_most * self._share)):
            return Reason.BUSY, f"{self.calls} under way"
        bucket = self._bucket
        if bucket is not None and bucket.wait_s(now_s) > 0:
            return Reason.BUYER_RATE_LIMITED, f"{bucket.per_s:g} a second"
        if self.ping.state is State.HALF_OPEN and not self.ping.probe(now_s) and not self.shadow:
            return Reason.BREAKER_OPEN, f"{self.why[Phase.PING]}; it is being tried"
        if bucket is not None:
            bucket.take(now_s)
        self.calls += 1
        return None

    def ended(self, began_s: float) -> None:
        """A ping that was let through at `began_s` is not under way any more; a probe may have proved nothing."""
        self.calls -= 1
        if self.is_ailing:
            self.ping.probed(began_s)

    def shut(self) -> Reason | None:
        """Why no order there need even be looked at, or None."""
        if self.ping.state is State.OPEN and not self.shadow:
            return Reason.BREAKER_OPEN
        return None if self.resting_until_s is None else Reason.BUYER_RATE_LIMITED

    def takes_no_post(self) -> bool:
        """Whether no lead is to be delivered there."""
        return not self.shadow and self.post.state is not State.CLOSED

    def tick(self, now_s: float) -> list[Phase]:
        """Ends rests that are over; the phases whose breakers have changed."""
        changed = [phase for phase in Phase if self.of(phase).tick(now_s)]
        post = self.post
        nobody_pings = self.pinged_s < post.until_s and now_s - post.until_s >= NO_PINGS_S
        if post.state is State.HALF_OPEN and (self.endpoint.ping_url is None or nobody_pings):
            post.close(now_s)
            changed = [*(phase for phase in changed if phase is not Phase.POST), Phase.POST]
        if self.resting_until_s is not None and now_s >= self.resting_until_s:
            self.resting_until_s = None
        self.look()
        return changed

    def _set_bucket(self, now_s: float) -> None:
        rate = self.endpoint.rate
        if rate is None:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = Bucket(rate.per_s * self._share, rate.burst * self._share)
        else:
            self._bucket.change(rate.per_s * self._share, rate.burst * self._share, now_s)
