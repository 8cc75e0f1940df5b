"""A vertical in a market file, and its fields."""

from typing import Annotated, Any

from pydantic import Field

from exchange.marketfile.limits import (
    FIELD_CHARS_MAX,
)
from exchange.marketfile.outside import (
    Region,
)
from exchange.marketfile.scalars import (
    Flag,
    Text,
    choice,
    whole,
)
from exchange.marketfile.shapes.base import Given, Mapping, Shape
from exchange.values.vertical import FieldType, Stage


class FieldShape(Shape):
    """One field of a vertical."""

    type: Annotated[str, choice(*FieldType)]
    stage: Annotated[str, choice(*Stage)] = Field(alias="in")
    required: Flag = False
    minimum: Any = Field(default=None, alias="min")
    maximum: Any = Field(default=None, alias="max")
    max_length: Given[Annotated[int, whole(1, FIELD_CHARS_MAX)]] = None
    values: Given[list[Text]] = None
    region: Region = "US"
    multiple: Flag = False


class VerticalShape(Shape):
    """A kind of lead; its fields are read one by one."""

    identity: list[Text] = []
    fields: Mapping
