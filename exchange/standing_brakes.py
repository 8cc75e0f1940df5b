"""What operators see of endpoints that are left alone, and the way back: for the command line and the admin API."""

from dataclasses import dataclass, replace

from exchange.answers import rfc3339
from exchange.marketfile.secrets import ENDPOINT_NAME
from exchange.rules.book import EndpointKey
from exchange.storage import catalogue, pauses
from exchange.storage.database import Database


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """An endpoint that is paused (`phase` and `openings` null), or a breaker that is open or half open.

    A breaker is told as the gateway has it in which it is worst; `gateways` is how many of `of` have it so.
    """

    buyer: str
    endpoint: str
    state: str
    phase: str | None
    since: str
    openings: int | None
    shadow: bool
    gateways: int
    of: int
    detail: str


async def standing(database: Database) -> list[LeftAlone]:
    """All endpoints that are paused, then all breakers that are not closed, by buyer."""
    said = await pauses.said(database)
    found: dict[tuple[str, str, str], LeftAlone] = {}
    for _, unwell in said:
        for item in unwell:
            key = item["buyer"], item["endpoint"], item["phase"]
            known = found.get(key)
            mine = LeftAlone(**item, gateways=1, of=len(said))
            if known is not None:
                worst = max(known, mine, key=lambda one: (one.state == "open", one.openings or 0))
                mine = replace(worst, gateways=known.gateways + 1)
            found[key] = mine
    paused = [
        LeftAlone(item.pause.buyer, item.pause.endpoint, "paused", None, rfc3339(item.pause.at), None, False,
                 len(said), len(said), item.pause.why)
        for item in await pauses.noted(database)
        if item.pause.at is not None
    ]  # fmt: skip
    return sorted(paused, key=lambda item: (item.buyer, item.endpoint)) + [found[key] for key in sorted(found)]


async def reset(database: Database, buyer: str, endpoint: str | None = None) -> list[str]:
    """Resets an endpoint of a buyer, or all of his; which. Raises LookupError where there is none."""
    known = await _endpoints(database)
    names = sorted(name for owner, name in known if owner == buyer and endpoint in {None, name})
    if not names:
        raise LookupError(buyer, endpoint)
    for name in names:
        await pauses.reset(database, buyer, name)
    return names


async def _endpoints(database: Database) -> set[EndpointKey]:
    """The endpoints of the market in force, and those that are paused."""
    buyers = await catalogue.newest_buyers(database)
    found = {item.pause.key for item in await pauses.noted(database) if item.pause.at is not None}
    for key, buyer in buyers.items():
        names = (buyer or {}).get("endpoints") or [ENDPOINT_NAME]
        found |= {(key, name) for name in names}
    return found
