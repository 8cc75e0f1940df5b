"""A few ZIP codes and where they are, packed as the exchange reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from exchange.geodata import centroids
from exchange.geodata.gazetteer import pack

PLACES = {
    "60601": (41.886, -87.622),  # Chicago, downtown
    "60614": (41.922, -87.652),  # Chicago, three miles north
    "60657": (41.940, -87.655),
    "61101": (42.293, -89.110),  # Rockford
    "53202": (43.049, -87.897),  # Milwaukee
    "10001": (40.751, -73.997),  # New York
    "94103": (37.773, -122.411),  # San Francisco
    "99546": (51.874, -176.635),  # Adak, near the date line
    "96799": (-14.270, -170.700),  # Pago Pago, south of the equator
}
UNKNOWN_ZIP = "60699"
"""A ZIP code without a known centroid."""


def gazetteer(places: dict[str, tuple[float, float]], separator: str = "\t") -> str:
    """A file as the Census Bureau writes it, blanks at the ends of lines included."""
    head = ["GEOID", "ALAND", "AWATER", "ALAND_SQMI", "AWATER_SQMI", "INTPTLAT", "INTPTLONG" + " " * 20]
    lines = [[name, "1", "0", "0.1", "0.0", str(north), f"{east}   "] for name, (north, east) in places.items()]
    return "\n".join(separator.join(line) for line in [head, *lines]) + "\n"


@contextmanager
def known_places(folder: Path, places: dict[str, tuple[float, float]] | None = None) -> Iterator[None]:
    """Lets the exchange know where these ZIP codes are, and no others."""
    path = folder / "zip_centroids.txt.gz"
    path.write_bytes(pack(gazetteer(PLACES if places is None else places), "a test"))
    with patch.object(centroids, "PACKED", path):
        yield
