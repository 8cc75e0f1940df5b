"""Where ZIP codes are: their centroids, read from a packed file, and the distances between them.

The file holds the ZIP code tabulation areas of the US Census Bureau's gazetteer, which are in the public domain; a
newer one is made by `python -m exchange.geodata`. It is gzipped text: lines that begin with `#` say where it is from,
every other one is a ZIP code, a latitude and a longitude in degrees.
"""

import gzip
import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from exchange.values.filters import Point, Radius

PACKED = Path(__file__).parent / "zip_centroids.txt.gz"

EARTH_RADIUS_MILES = 3958.8
"""Of the sphere that distances are taken on."""

Place = tuple[str, float, float, float]
"""A ZIP code and the direction of its centroid from the middle of the earth, as a vector of length one."""


@dataclass(frozen=True, slots=True)
class Centroids:
    """The known centroids, by ZIP code and in the order of their latitudes."""

    by_zip: Mapping[str, Place]
    latitudes: Sequence[float]
    places: Sequence[Place]

    def knows(self, zip_code: str) -> bool:
        return zip_code in self.by_zip

    def within(self, radius: Radius) -> tuple[str, ...]:
        """The ZIP codes whose centroids lie inside; none where the centre's is not known."""
        centre = self._centre(radius)
        if centre is None:
            return ()
        (_, x, y, z), reach = centre, _reach(radius.miles)
        north, width = math.degrees(math.asin(z)), math.degrees(radius.miles / EARTH_RADIUS_MILES) + 1e-6
        first = bisect_left(self.latitudes, north - width)
        last = bisect_right(self.latitudes, north + width)
        return tuple(
            name
            for name, a, b, c in self.places[first:last]
            if (a - x) * (a - x) + (b - y) * (b - y) + (c - z) * (c - z) <= reach
        )

    def holds(self, radius: Radius, zip_code: str) -> bool:
        """Whether the centroid of one ZIP code lies inside."""
        centre, place = self._centre(radius), self.by_zip.get(zip_code)
        if centre is None or place is None:
            return False
        (_, x, y, z), (_, a, b, c) = centre, place
        return (a - x) * (a - x) + (b - y) * (b - y) + (c - z) * (c - z) <= _reach(radius.miles)

    def _centre(self, radius: Radius) -> Place | None:
        return self.by_zip.get(radius.of) if isinstance(radius.of, str) else _place("", radius.of)


def located(points: Mapping[str, Point]) -> Centroids:
    """Centroids of the points of ZIP codes."""
    names = sorted(points, key=lambda name: points[name].latitude)
    places = [_place(name, points[name]) for name in names]
    return Centroids({place[0]: place for place in places}, [points[name].latitude for name in names], places)


def known() -> Centroids:
    """The centroids of the packed file, read once in the life of a process."""
    return _read(PACKED)


@lru_cache(maxsize=4)
def _read(packed: Path) -> Centroids:
    points: dict[str, Point] = {}
    for line in gzip.decompress(packed.read_bytes()).decode().splitlines():
        if not line.startswith("#"):
            name, latitude, longitude = line.split()
            points[name] = Point(float(latitude), float(longitude))
    return located(points)


def _place(name: str, point: Point) -> Place:
    latitude, longitude = math.radians(point.latitude), math.radians(point.longitude)
    return (
        name,
        math.cos(latitude) * math.cos(longitude),
        math.cos(latitude) * math.sin(longitude),
        math.sin(latitude),
    )


def _reach(miles: float) -> float:
    """The square of the straight line through the earth below a great circle of this length: four times its haversine.

    Comparing it needs no trigonometry for each pair, and is exact for places next to one another.
    """
    half = math.sin(min(miles / EARTH_RADIUS_MILES, math.pi) / 2)
    return 4 * half * half
