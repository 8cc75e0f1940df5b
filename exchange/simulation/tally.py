"""What simulated sellers were told: frozen records, kept apart from the exchange's own, for the reconciliation."""

from dataclasses import dataclass, field

from exchange.values.reason import Reason

OFFERED, UNSOLD, REFUSED = "offered", "unsold", "refused"
ACCEPTED, REJECTED, PENDING = "accepted", "rejected", "pending"


@dataclass(frozen=True, slots=True)
class PingTold:
    """The answer to a ping: `price_micros` where it was offered, `reason` where it was not."""

    seller: str
    campaign: str
    ping_id: str
    status: str
    price_micros: int | None
    reason: Reason | None
    min_price_micros: int | None = None
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class PostTold:
    """The answer to a post: `price_micros` where it was accepted, `reason` where it was not."""

    seller: str
    post_id: str
    ping_id: str
    status: str
    price_micros: int | None
    reason: Reason | None
    elapsed_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """A problem from the contract's list. `ping_id` where it was a post."""

    seller: str
    path: str
    http_status: int
    code: str
    ping_id: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Something the contract does not know. `answered` is False where no whole answer came: who knows what was done."""

    seller: str
    path: str
    what: str
    answered: bool
    ping_id: str | None = None


Told = PingTold | PostTold | TurnedAway | Fault


@dataclass(slots=True)
class Tally:
    """The sellers' book of a run, in the order in which the answers came."""

    pings: list[PingTold] = field(default_factory=list)
    posts: list[PostTold] = field(default_factory=list)
    turned_away: list[TurnedAway] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def add(self, record: Told) -> None:
        match record:
            case PingTold():
                self.pings.append(record)
            case PostTold():
                self.posts.append(record)
            case TurnedAway():
                self.turned_away.append(record)
            case Fault():
                self.faults.append(record)
