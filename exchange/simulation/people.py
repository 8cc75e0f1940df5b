"""People who look real and are nobody: seeded, with fictional telephone numbers and addresses at reserved domains."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from exchange.simulation import names
from exchange.simulation.places import Place, pick_place

RESERVED_DOMAINS = ("example.com", "example.net", "example.org")  # RFC 2606: nobody's mail goes there
AGE_MIN, AGE_MAX, AGE_MODE = 18, 88, 38


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody: `age` is in whole years, `phone` in E.164 form."""

    first_name: str
    last_name: str
    gender: str
    birth_date: date
    age: int
    phone: str
    email: str
    street: str
    zip_code: str
    place: Place


def make_person(random: Random, today: date) -> Person:
    """The next person of a seeded crowd, of the age that the birth date gives on `today`."""
    place = pick_place(random)
    gender = random.choices(("female", "male", "other"), (49, 49, 2))[0]
    first_name = random.choice(_first_names(gender))
    last_name = random.choice(names.LAST)
    birth_date = _birth_date(random, today)
    return Person(
        first_name=first_name,
        last_name=last_name,
        gender=gender,
        birth_date=birth_date,
        age=_age_on(today, birth_date),
        phone=_phone(random, place),
        email=_email(random, first_name, last_name, birth_date.year),
        street=f"{random.randint(1, 9999)} {random.choice(names.STREETS)} {random.choice(names.STREET_KINDS)}",
        zip_code=random.choice(place.zips),
        place=place,
    )


def _first_names(gender: str) -> tuple[str, ...]:
    return {"female": names.FEMALE, "male": names.MALE}.get(gender, names.FEMALE + names.MALE)


def _birth_date(random: Random, today: date) -> date:
    years = random.triangular(AGE_MIN + 0.1, AGE_MAX, AGE_MODE)
    return today - timedelta(days=round(years * 365.2425))


def _age_on(today: date, birth_date: date) -> int:
    before_birthday = (today.month, today.day) < (birth_date.month, birth_date.day)
    return today.year - birth_date.year - before_birthday


def _phone(random: Random, place: Place) -> str:
    """A number of the town's area codes; 555-0100 to 555-0199 are kept for fiction (North American Numbering Plan)."""
    return f"+1{random.choice(place.area_codes)}55501{random.randint(0, 99):02d}"


def _email(random: Random, first_name: str, last_name: str, birth_year: int) -> str:
    """A few ways in which people name their mailbox, with enough digits that two people seldom share one."""
    first, last = (re.sub(r"[^a-z]", "", name.lower()) for name in (first_name, last_name))
    mailbox = random.choice(
        (
            f"{first}.{last}{random.randint(10, 9999)}",
            f"{first[0]}{last}{birth_year}{random.randint(0, 99):02d}",
            f"{last}_{first}{random.randint(100, 99999)}",
            f"{first}{random.randint(1000, 999999)}",
        )
    )
    return f"{mailbox}@{random.choice(RESERVED_DOMAINS)}"
