"""Clocks on the wall: the instants that a zone's local times are, whatever is done to its clocks."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """A zone of the IANA database."""
    return ZoneInfo(name)


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """When a clock first reads `wall`; where it never does, because clocks skip it, when they do."""
    found = wall.replace(tzinfo=zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    return change_between(wall.replace(tzinfo=zone, fold=1).astimezone(UTC), found, zone)


def change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """When the clock changes between two times, to the second; it does so once."""
    low, high = int(before.timestamp()), -int(-after.timestamp() // 1)
    offset = before.astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)
