"""The centroids that the exchange comes with: each is in its state, and distances are those of maps."""

import math
import re
from pathlib import Path

import pytest
from support.places import UNKNOWN_ZIP

from exchange.geodata.centroids import known
from exchange.rules.geography import STATES, state_of_zip, zips_of_state
from exchange.simulation import places
from exchange.values.filters import Radius

BOXES = """
AL 30.1 35.1 -88.5 -84.8 | AK 51.0 71.5 -180.0 -129.9 | AZ 31.3 37.1 -114.9 -109.0 | AR 33.0 36.6 -94.7 -89.6
CA 32.5 42.1 -124.5 -114.1 | CO 36.9 41.1 -109.1 -102.0 | CT 40.9 42.1 -73.8 -71.7 | DE 38.4 39.9 -75.8 -75.0
DC 38.7 39.0 -77.2 -76.9 | FL 24.4 31.1 -87.7 -79.9 | GA 30.3 35.1 -85.7 -80.8 | HI 18.9 22.3 -160.3 -154.8
ID 41.9 49.1 -117.3 -111.0 | IL 36.9 42.6 -91.6 -87.4 | IN 37.7 41.8 -88.1 -84.7 | IA 40.3 43.6 -96.7 -90.1
KS 36.9 40.1 -102.1 -94.5 | KY 36.4 39.2 -89.6 -81.9 | LA 28.9 33.1 -94.1 -88.8 | ME 42.9 47.5 -71.1 -66.9
MD 37.8 39.8 -79.5 -75.0 | MA 41.2 42.9 -73.6 -69.9 | MI 41.6 48.4 -90.5 -82.1 | MN 43.4 49.4 -97.3 -89.4
MS 30.1 35.1 -91.7 -88.0 | MO 35.9 40.7 -95.8 -89.0 | MT 44.3 49.1 -116.1 -104.0 | NE 39.9 43.1 -104.1 -95.3
NV 35.0 42.1 -120.1 -114.0 | NH 42.6 45.4 -72.6 -70.6 | NJ 38.9 41.4 -75.6 -73.8 | NM 31.3 37.1 -109.1 -103.0
NY 40.4 45.1 -79.8 -71.8 | NC 33.8 36.6 -84.4 -75.4 | ND 45.9 49.1 -104.1 -96.5 | OH 38.4 42.0 -84.9 -80.5
OK 33.6 37.1 -103.1 -94.4 | OR 41.9 46.3 -124.6 -116.4 | PA 39.7 42.3 -80.6 -74.6 | RI 41.1 42.1 -71.9 -71.1
SC 32.0 35.3 -83.4 -78.5 | SD 42.4 46.0 -104.1 -96.4 | TN 34.9 36.7 -90.4 -81.6 | TX 25.8 36.6 -106.7 -93.5
UT 36.9 42.1 -114.1 -109.0 | VT 42.7 45.1 -73.5 -71.4 | VA 36.5 39.5 -83.7 -75.2 | WA 45.5 49.1 -124.8 -116.9
WV 37.2 40.7 -82.7 -77.7 | WI 42.4 47.1 -92.9 -86.7 | WY 40.9 45.1 -111.1 -104.0
"""
"""What each state lies within, to a tenth of a degree outwards: the least and most latitude, then longitude."""

BOX_OF = {
    state: tuple(map(float, box)) for state, *box in (cells.split() for cells in re.split(r"[|\n]", BOXES.strip()))
}


TERRITORIES = {"AS", "FM", "GU", "MH", "MP", "PR", "PW", "VI"}

OVER_THE_BORDER = {"82063", "83120", "86515"}
"""Areas that reach so far into the next state that their centroids lie there, some miles from the border."""


def lies_in(box: tuple[float, ...], x: float, y: float, z: float) -> bool:
    """Whether the place in this direction from the middle of the earth lies within a box."""
    south, north, west, east = box
    return south <= math.degrees(math.asin(z)) <= north and west <= math.degrees(math.atan2(y, x)) <= east


def test_there_is_one_for_every_zip_code_tabulation_area_of_2020() -> None:
    assert len(known().by_zip) == 33_791
    assert not known().knows(UNKNOWN_ZIP)


def test_each_place_is_in_its_state() -> None:
    states = {name: state_of_zip(name) or "" for name in known().by_zip}
    assert set(states.values()) <= BOX_OF.keys() | TERRITORIES
    boxed = [
        (place, BOX_OF[state]) for name, state in states.items() if state in BOX_OF and (place := known().by_zip[name])
    ]
    assert {name for (name, *direction), box in boxed if not lies_in(box, *direction)} == OVER_THE_BORDER


@pytest.mark.parametrize(
    ("one", "other", "miles"),
    [
        ("60601", "53202", 83),  # Chicago, Milwaukee
        ("60601", "61101", 84),  # the country west of Rockford
        ("60601", "60201", 12),  # Evanston
        ("60601", "60540", 28),  # Naperville
        ("60601", "60435", 35),  # Joliet
        ("60601", "62701", 178),  # Springfield
        ("60601", "46204", 165),  # Indianapolis
        ("10001", "19103", 81),  # New York, Philadelphia
        ("10001", "02108", 190),  # Boston
        ("10001", "94103", 2568),  # San Francisco
        ("90012", "92101", 112),  # Los Angeles, San Diego
        ("94103", "95113", 42),  # San Francisco, San Jose
        ("75201", "76102", 31),  # Dallas, Fort Worth
        ("77002", "78701", 146),  # Houston, Austin
        ("77002", "77550", 47),  # Galveston
        ("33130", "33301", 25),  # Miami, Fort Lauderdale
        ("30303", "30901", 140),  # Atlanta, Augusta
        ("20001", "21201", 35),  # Washington, Baltimore
        ("98101", "98402", 25),  # Seattle, Tacoma
        ("55101", "55401", 9),  # the Twin Cities
        ("96813", "96732", 94),  # Honolulu, Kahului
    ],
)
def test_distances_are_those_of_maps(one: str, other: str, miles: int) -> None:
    tolerance = 3 + miles / 100
    assert known().holds(Radius(miles + tolerance, one), other)
    assert not known().holds(Radius(miles - tolerance, one), other)


def test_the_well_known_zip_codes_and_the_simulated_peoples_are_among_them() -> None:
    assert {name for state in STATES for name in zips_of_state(state)} <= known().by_zip.keys()
    lived_in = [name for place in places.PLACES for name in place.zips]
    assert [name for name in lived_in if not known().knows(name)] == []


def test_the_manual_says_how_many_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs/operate/market.md").read_text()
    assert f"{len(known().by_zip):,} ZIP codes" in page
