"""What all parts of a market file have in common."""

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

from exchange.marketfile.scalars import (
    refuse,
)

Kind = TypeVar("Kind")


def _given(value: object) -> object:
    if value is None:
        raise refuse("is empty: give it a value, or leave the key out")
    return value


Given = Annotated[Kind | None, BeforeValidator(_given)]
"""What may be left out, but not be written and empty."""


Mapping = dict[str, Any]
"""Entries that are read one by one, so that one wrong entry hides nothing of the others."""


class Shape(BaseModel):
    """What all parts have in common: a key that is not listed is a mistake."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True)
