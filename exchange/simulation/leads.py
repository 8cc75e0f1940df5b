"""Leads of the example market: people who want car insurance or a solar roof, as ping fields and contact fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from exchange.simulation.people import Person, make_person

FieldValue = str | int | bool

CREDIT = ("poor", "fair", "good", "excellent")
# fmt: off
VEHICLES = (
    ("Toyota", "Camry"), ("Toyota", "Corolla"), ("Toyota", "RAV4"), ("Honda", "Civic"), ("Honda", "Accord"),
    ("Honda", "CR-V"), ("Ford", "F-150"), ("Ford", "Escape"), ("Ford", "Focus"), ("Chevrolet", "Silverado"),
    ("Chevrolet", "Malibu"), ("Nissan", "Altima"), ("Nissan", "Rogue"), ("Hyundai", "Elantra"), ("Kia", "Soul"),
    ("Jeep", "Wrangler"), ("Subaru", "Outback"), ("Volkswagen", "Jetta"), ("Mazda", "CX-5"), ("Tesla", "Model 3"),
    ("BMW", "3 Series"), ("GMC", "Sierra"), ("Ram", "1500"), ("Dodge", "Charger"),
)
# fmt: on


@dataclass(frozen=True, slots=True)
class SimulatedLead:
    """What a seller knows of a person: `ping` goes out first, `contact` with the post only."""

    ping: Mapping[str, FieldValue]
    contact: Mapping[str, FieldValue]


LeadMaker = Callable[[Random, date], SimulatedLead]


def make_auto_lead(random: Random, today: date) -> SimulatedLead:
    """Somebody who asks for a car insurance quote; one in four leaves the state out, as the ZIP implies it."""
    person = make_person(random, today)
    make, model = random.choice(VEHICLES)
    ping: dict[str, FieldValue] = {
        "zip": person.zip_code,
        "state": person.place.state,
        "age": person.age,
        "gender": person.gender,
        "marital_status": _marital_status(random, person.age),
        "credit": random.choices(CREDIT, (15, 30, 35, 20))[0],
        "residence": random.choices(("own", "rent"), (person.age, 60))[0],
        "vehicle_year": today.year - min(25, int(random.expovariate(1 / 7))),
        "vehicle_make": make,
        "vehicle_model": model,
        "accidents": random.choices((0, 1, 2, 3), (74, 18, 6, 2))[0],
        "insured": random.random() < 0.8,
        "policy_ends": (today + timedelta(days=random.randint(1, 180))).isoformat(),
    }
    return SimulatedLead(_sometimes_without(random, ping, "state"), _contact(person))


def make_solar_lead(random: Random, today: date) -> SimulatedLead:
    """Somebody who asks what solar panels would cost; one in four leaves the state out, as the ZIP implies it."""
    person = make_person(random, today)
    homeowner = random.random() < 0.85
    ping: dict[str, FieldValue] = {
        "zip": person.zip_code,
        "state": person.place.state,
        "homeowner": homeowner,
        "property_type": random.choices(("single_family", "townhouse", "condo", "mobile_home"), (70, 15, 10, 5))[0],
        "roof_shade": random.choices(("none", "partial", "heavy"), (55, 33, 12))[0],
        "roof_age_years": min(60, int(random.expovariate(1 / 12))),
        "monthly_bill_usd": round(random.triangular(40, 520, 150)),
        "utility": person.place.utility,
        "credit": random.choices(CREDIT, (10, 25, 40, 25))[0],
        "timeframe": random.choice(("now", "3_months", "6_months", "12_months", "unsure")),
    }
    return SimulatedLead(_sometimes_without(random, ping, "state"), {**_contact(person), "street": person.street})


LEAD_MAKERS: Mapping[str, LeadMaker] = {"auto-us": make_auto_lead, "solar-us": make_solar_lead}
"""Which leads go to which campaign of the example market."""


def _contact(person: Person) -> dict[str, FieldValue]:
    return {
        "first_name": person.first_name,
        "last_name": person.last_name,
        "phone": person.phone,
        "email": person.email,
    }


def _marital_status(random: Random, age: int) -> str:
    return random.choices(("single", "married", "divorced", "widowed"), (60, age, age / 3, max(0, age - 55)))[0]


def _sometimes_without(random: Random, fields: dict[str, FieldValue], name: str) -> dict[str, FieldValue]:
    if random.random() < 0.25:
        del fields[name]
    return fields
