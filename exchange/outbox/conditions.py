"""Whether a delivery that is due is to be sent now, later or never, by what the market says of it."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from exchange.carriers.outcome import Failed
from exchange.outbox.outcome import Postponed, Skipped
from exchange.rules.ages import DAY_S
from exchange.rules.filters import Fields, failing
from exchange.rules.schedule import Timeline
from exchange.rules.zones import instant_of, zone_of
from exchange.storage.outbox import Other
from exchange.values.deliveries import Following
from exchange.values.vertical import FieldType, Lead

LOOK_AGAIN_S = 5.0
"""How soon is looked again at a delivery that another waits for."""

LOOK_AGAIN_LONGEST_S = 3_600.0
WAITS_DAYS_MAX = 60
"""For how long a delivery waits for its hours or another one: after that it is given up."""

TOO_LONG = Failed(f"it has waited for {WAITS_DAYS_MAX} days", is_final=True)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a row: the lead with its ages, the other delivery that it names, and the order's hours."""

    lead: Lead
    fields: Fields
    other: Other | None
    hours: Timeline | None
    zone: str
    made_at: datetime


def kept_back(following: Following, known: Circumstances, now: datetime) -> Skipped | Postponed | Failed | None:
    """Why it is not to be sent now; None where it is."""
    if wrong := failing(following.when, known.lead, known.fields):
        return Skipped(f"the lead does not suit it: {wrong[0].path}")
    found = (
        _by_other(following, known.other) or _by_date(following, known, now) or _by_hours(following, known.hours, now)
    )
    if isinstance(found, Postponed) and now - known.made_at > timedelta(days=WAITS_DAYS_MAX):
        return TOO_LONG
    return found


def _by_other(following: Following, other: Other | None) -> Skipped | Postponed | None:
    name, wanted = (following.after, "done") if following.after else (following.instead_of, "dead")
    if name is None:
        return None
    if other is None:
        return Skipped(f"there is no {name} of this sale")
    if other.state == wanted:
        return None
    if other.state == "waiting":
        wait_s = min(max(other.wait_s, LOOK_AGAIN_S), LOOK_AGAIN_LONGEST_S)
        return Postponed(wait_s, f"waits for {name}")
    return Skipped(f"{name} is {other.state}")


def _by_date(following: Following, known: Circumstances, now: datetime) -> Postponed | None:
    """Waits for a date of the lead; a lead without it waits for nothing."""
    field = None if following.on is None else known.fields.get(following.on)
    value = None if field is None else known.lead.get(field.name)
    if field is None or not isinstance(value, str):
        return None
    if field.type is FieldType.DATE:
        clock = time(*divmod(following.at_minute, 60))
        moment = instant_of(datetime.combine(date.fromisoformat(value), clock), zone_of(known.zone))
    else:
        moment = datetime.fromisoformat(value)
    wait_s = (moment - now).total_seconds()
    return None if wait_s <= 0 else Postponed(min(wait_s, WAITS_DAYS_MAX * DAY_S), f"waits for {following.on}")


def _by_hours(following: Following, hours: Timeline | None, now: datetime) -> Postponed | None:
    """Waits until the order opens; where that is further away than can be seen, it is looked at again in an hour."""
    if not following.in_hours or hours is None:
        return None
    standing = hours.standing(now)
    if standing.is_open:
        return None
    wait_s = LOOK_AGAIN_LONGEST_S if standing.until is None else (standing.until - now).total_seconds()
    return Postponed(max(wait_s, 1.0), "waits for the order's hours")
