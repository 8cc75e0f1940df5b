"""All shapes of the market file, whichever module they stand in."""

from importlib import import_module
from pkgutil import iter_modules

from exchange.marketfile import shapes
from exchange.marketfile.shapes.base import Shape
from exchange.marketfile.shapes.deliveries import MeansShape
from exchange.marketfile.shapes.replies import OfferShape, PlaceShape

BASES = Shape, MeansShape, OfferShape, PlaceShape
"""What others are made of, and no entry is alone."""


def all_shapes() -> list[type[Shape]]:
    """Each shape once, by name."""
    modules = [import_module(f"{shapes.__name__}.{found.name}") for found in iter_modules(shapes.__path__)]
    values = [value for module in modules for value in vars(module).values()]
    found = {value for value in values if isinstance(value, type) and issubclass(value, Shape) and value not in BASES}
    return sorted(found, key=lambda shape: shape.__name__)
