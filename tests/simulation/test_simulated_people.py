"""Simulated people and leads: consistent, valid by the exchange's own rules, fictional, and repeatable."""

import re
from datetime import date
from random import Random

import phonenumbers
import pytest
from email_validator import validate_email
from hypothesis import given
from hypothesis import strategies as st

from exchange.marketfile.reader import load
from exchange.rules.geography import state_of_zip
from exchange.rules.intake import LeadReader
from exchange.simulation.leads import LEAD_MAKERS, SimulatedLead
from exchange.simulation.market import render_demo_market
from exchange.simulation.people import AGE_MAX, AGE_MIN, make_person
from exchange.simulation.places import PLACES, Place
from exchange.values.vertical import Stage

TODAY = date(2026, 3, 1)
_, MARKET = load(render_demo_market(9101))


def seeded(seed: int | str) -> Random:
    return Random(seed)  # noqa: S311  # a test that repeats itself


def leads_of(campaign: str, number: int = 500) -> list[SimulatedLead]:
    random = seeded(campaign)
    return [LEAD_MAKERS[campaign](random, TODAY) for _ in range(number)]


def test_every_zip_lies_in_its_towns_state() -> None:
    assert {(place.city, code): state_of_zip(code) for place in PLACES for code in place.zips} == {
        (place.city, code): place.state for place in PLACES for code in place.zips
    }


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.city)
def test_every_number_of_a_town_is_valid_and_kept_for_fiction(place: Place) -> None:
    for area_code in place.area_codes:
        for line in ("0100", "0199"):
            assert phonenumbers.is_valid_number(phonenumbers.parse(f"+1{area_code}555{line}"))


@given(st.integers(0, 2**32), st.dates(date(1990, 1, 1), date(2100, 12, 31)))
def test_a_person_is_consistent(seed: int, today: date) -> None:
    person = make_person(seeded(seed), today)
    assert state_of_zip(person.zip_code) == person.place.state
    assert re.fullmatch(r"\+1(\d{3})55501\d\d", person.phone)
    assert person.phone[2:5] in person.place.area_codes
    assert phonenumbers.is_valid_number(phonenumbers.parse(person.phone))
    assert validate_email(person.email, check_deliverability=False).normalized == person.email
    assert person.email.partition("@")[2] in {"example.com", "example.net", "example.org"}
    birthday_passed = (person.birth_date.month, person.birth_date.day) <= (today.month, today.day)
    assert person.age == today.year - person.birth_date.year - (not birthday_passed)
    assert AGE_MIN <= person.age <= AGE_MAX


def test_the_same_seed_makes_the_same_people() -> None:
    crowds = [[make_person(random, TODAY) for _ in range(50)] for random in (seeded(5), seeded(5), seeded(6))]
    assert crowds[0] == crowds[1] != crowds[2]


@pytest.mark.parametrize("campaign", LEAD_MAKERS)
def test_every_lead_is_valid_in_the_example_market(campaign: str) -> None:
    vertical = MARKET.verticals[MARKET.campaigns[campaign].vertical]
    reader = LeadReader(vertical)
    for lead in leads_of(campaign):
        ping = reader.read_ping(lead.ping)
        assert (ping.errors, ping.ignored) == ((), ())
        assert ping.values["state"] == state_of_zip(str(lead.ping["zip"]))
        post = reader.read_post(lead.contact, ping.values)
        assert (post.errors, post.ignored, post.changed) == ((), (), ())
        assert {name: post.values[name] for name in lead.contact} == lead.contact


@pytest.mark.parametrize("campaign", LEAD_MAKERS)
def test_contact_data_is_in_the_contact_fields_alone(campaign: str) -> None:
    vertical = MARKET.verticals[MARKET.campaigns[campaign].vertical]
    for lead in leads_of(campaign):
        assert lead.ping.keys() <= set(vertical.names(Stage.PING))
        assert lead.contact.keys() == set(vertical.names(Stage.POST))


@pytest.mark.parametrize("campaign", LEAD_MAKERS)
def test_every_field_and_every_allowed_value_occurs(campaign: str) -> None:
    vertical = MARKET.verticals[MARKET.campaigns[campaign].vertical]
    leads = leads_of(campaign, 3000)
    for name in vertical.names(Stage.PING):
        seen = {lead.ping.get(name) for lead in leads}
        assert len(seen) > 1
        assert set(vertical.fields[name].values) <= seen


@pytest.mark.parametrize("campaign", LEAD_MAKERS)
def test_some_leads_leave_out_the_state(campaign: str) -> None:
    share = sum("state" not in lead.ping for lead in leads_of(campaign)) / 500
    assert 0.1 < share < 0.4


def test_two_people_seldom_share_a_mailbox() -> None:
    random = seeded(1)
    mailboxes = [make_person(random, TODAY).email for _ in range(2000)]
    assert len(set(mailboxes)) > 1990
