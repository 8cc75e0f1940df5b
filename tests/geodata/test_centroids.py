"""Where ZIP codes are: a gazetteer's file is packed and read back, and distances are those of maps."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.places import PLACES, UNKNOWN_ZIP, gazetteer, known_places

from exchange.errors import CommandError
from exchange.geodata import centroids
from exchange.geodata.centroids import EARTH_RADIUS_MILES, known, located
from exchange.geodata.gazetteer import pack
from exchange.values.filters import Point, Radius

KNOWN = located({name: Point(*place) for name, place in PLACES.items()})
POINTS = st.builds(Point, st.floats(-90, 90), st.floats(-180, 180))


def haversine(one: Point, other: Point) -> float:
    """The textbook's distance, in miles."""
    north, south = math.radians(one.latitude), math.radians(other.latitude)
    east = math.radians(other.longitude - one.longitude)
    found = math.sin((south - north) / 2) ** 2 + math.cos(north) * math.cos(south) * math.sin(east / 2) ** 2
    return 2 * EARTH_RADIUS_MILES * math.asin(math.sqrt(min(1.0, found)))


@pytest.mark.parametrize(
    ("one", "other", "miles"), [("60601", "53202", 81.5), ("10001", "94103", 2567.0), ("60601", "10001", 712.0)]
)
def test_distances_are_those_of_maps(one: str, other: str, miles: float) -> None:
    assert KNOWN.holds(Radius(miles * 1.005, one), other)
    assert not KNOWN.holds(Radius(miles * 0.995, one), other)


@given(st.lists(POINTS, min_size=1, max_size=20), POINTS, st.floats(0.01, 500))
def test_the_zip_codes_inside_are_those_that_the_haversine_says(
    points: list[Point], centre: Point, miles: float
) -> None:
    known = located({f"{number:05d}": point for number, point in enumerate(points)})
    inside = known.within(Radius(miles, centre))
    for number, point in enumerate(points):
        name = f"{number:05d}"
        assert (name in inside) is known.holds(Radius(miles, centre), name)
        distance = haversine(centre, point)
        if not math.isclose(distance, miles, rel_tol=1e-6, abs_tol=1e-4):  # the edge itself is a matter of digits
            assert (name in inside) is (distance < miles)


def test_a_radius_holds_its_centre_and_nothing_without_one() -> None:
    assert KNOWN.within(Radius(0.01, "60601")) == ("60601",)
    assert KNOWN.within(Radius(500, UNKNOWN_ZIP)) == ()
    assert not KNOWN.holds(Radius(500, "60601"), UNKNOWN_ZIP)
    assert not KNOWN.holds(Radius(500, UNKNOWN_ZIP), "60601")


@pytest.mark.parametrize("separator", ["\t", "|"])
def test_what_is_packed_is_read_back(separator: str, tmp_path: Path) -> None:
    path = tmp_path / "zip_centroids.txt.gz"
    path.write_bytes(pack(gazetteer(PLACES, separator), "a test"))
    assert path.read_bytes() == pack(gazetteer(PLACES, separator), "a test")
    read = centroids._read(path)
    assert read.by_zip.keys() == PLACES.keys()
    for name, (_, *place) in KNOWN.by_zip.items():
        assert read.by_zip[name][1:] == pytest.approx(place, abs=1e-7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "this is no gazetteer file"),
        ("GEOID\tINTPTLAT\n60601\t41.9\n", "this is no gazetteer file"),
        ("GEOID\tINTPTLAT\tINTPTLONG\n60601\t41.9\n", "line 2 of the gazetteer file cannot be read"),
        ("GEOID\tINTPTLAT\tINTPTLONG\n60601\tx\t1\n", "line 2 of the gazetteer file cannot be read"),
        ("GEOID\tINTPTLAT\tINTPTLONG\n6060\t1\t1\n", "line 2 of the gazetteer file has no ZIP code"),
        ("GEOID\tINTPTLAT\tINTPTLONG\n60601\t1\t1\n60602\tnan\t1\n", "line 3 of the gazetteer file has no ZIP code"),
    ],
)
def test_another_file_is_refused(text: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        pack(text, "a test")


def test_the_command_packs_a_file(tmp_path: Path) -> None:
    source, target = tmp_path / "2025_Gaz_zcta_national.txt", tmp_path / "packed.gz"
    source.write_text(gazetteer(PLACES))
    command = [sys.executable, "-m", "exchange.geodata", str(source), "--to", str(target)]
    subprocess.run(command, check=True, timeout=60)
    with known_places(tmp_path):
        assert centroids._read(target) == known()
    source.write_text("something else\n")
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert "this is no gazetteer file" in refused.stderr
