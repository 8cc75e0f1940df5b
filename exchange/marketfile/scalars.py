"""The single values of a market file: each is checked in plain words and turned into what the exchange reckons with."""

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from exchange.marketfile.limits import TEMPLATE_CHARS_MAX, TEXT_CHARS_MAX
from exchange.marketfile.problems import shown, wrong
from exchange.rules.templates import is_malformed
from exchange.values.money import floor_to_cent, parse_amount

_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_PERCENT = re.compile(r"([0-9]{1,2})(?:\.([0-9]{1,4}))?", re.ASCII)
_UNSTORABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_DIGITS_END = 10**18
_SIGNED = re.compile(r"-[0-9.]+", re.ASCII)

KEY_RULE = "a key is up to 64 lower-case letters, digits, '-', '_' and '.', and starts with a letter or digit"


def written(schema: dict[str, Any]) -> Any:
    """What a value looks like in the file, as JSON Schema: for editors, which check less than is read here."""
    return Annotated[Any, WithJsonSchema(schema)]


def refuse(message: str) -> PydanticCustomError:
    """An error whose message reaches the person as it is."""
    return PydanticCustomError("said", "{message}", {"message": message})


def refuse_word(value: object, words: Sequence[str], wanted: str) -> PydanticCustomError:
    """An error for what is none of the `words`; whoever lists the problems says which of them was probably meant."""
    if not isinstance(value, str):
        return refuse(wrong(wanted, value))
    message = f"must be {wanted}, not {shown(value)}"
    return PydanticCustomError("no_such_word", "{message}", {"message": message, "words": tuple(words)})


def as_text(value: object) -> str | None:
    """The text that a value stands for, a whole number for its digits; None where it is not text."""
    if isinstance(value, str):
        return value
    whole_number = isinstance(value, int) and not isinstance(value, bool) and abs(value) < _DIGITS_END
    return str(value) if whole_number else None


def is_key(value: object) -> bool:
    """Whether a text may name an entry of the market."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def whole(low: int, high: int) -> PlainValidator:
    """A whole number from `low` to `high`."""

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise refuse(wrong("a whole number", value))
        if not low <= value <= high:
            raise refuse(f"must be from {low} to {high}, not {shown(value)}")
        return value

    return PlainValidator(check, written({"type": "integer", "minimum": low, "maximum": high}))


def choice(*words: str) -> PlainValidator:
    """One of the words."""

    def check(value: object) -> str:
        if value in words:
            return str(value)
        wanted = words[0] if len(words) == 1 else "one of " + ", ".join(words)
        raise refuse_word(value, words, wanted)

    return PlainValidator(check, written({"enum": [str(word) for word in words]}))


def optional(check: Callable[[object], int]) -> PlainValidator:
    """What `check` reads, or null."""
    return PlainValidator(lambda value: None if value is None else check(value))


def text(value: object) -> str:
    """Text that is not empty; blanks at its ends would be a slip."""
    found = as_text(value)
    if found is None:
        raise refuse(wrong("text", value))
    if not found or found != found.strip():
        raise refuse("is empty" if not found.strip() else "has blanks at its ends")
    if _UNSTORABLE.search(found):
        raise refuse("holds a control character")
    if len(found) > TEXT_CHARS_MAX:
        raise refuse(f"is longer than {TEXT_CHARS_MAX:,} characters")
    return found


def template(value: object) -> str:
    """A text of several lines, with places for values."""
    found = as_text(value)
    if found is None:
        raise refuse(wrong("text", value))
    if not found.strip():
        raise refuse("is empty")
    if _UNSTORABLE.search(found.replace("\n", "").replace("\t", "")):
        raise refuse("holds a control character")
    if len(found) > TEMPLATE_CHARS_MAX:
        raise refuse(f"is longer than {TEMPLATE_CHARS_MAX:,} characters")
    if is_malformed(found):
        raise refuse("has a place for a value that is not written {{name}}")
    return found


def flag(value: object) -> bool:
    """A yes or no, written true or false."""
    if not isinstance(value, bool):
        raise refuse(wrong("true or false", value))
    return value


def key(value: object) -> str:
    """A key of the market, as the name of an entry."""
    if not isinstance(value, str) or not is_key(value):
        raise refuse(KEY_RULE)
    return value


def amount(value: object) -> int:
    """The micro-units of an amount of money."""
    found = as_text(value)
    micros = None if found is None else parse_amount(found)
    if found is not None and _SIGNED.fullmatch(found):
        raise refuse(f"must not be negative, as {shown(found)} is")
    if micros is None:
        wanted = 'an amount such as "5.00", with up to 12 digits before and 6 after the point'
        raise refuse(wrong(wanted, value) if found is None else f"must be {wanted}, not {shown(found)}")
    return micros


def percent(value: object) -> int:
    """The parts per million of a percentage of at least 0 and less than 100."""
    found = as_text(value)
    match = None if found is None else _PERCENT.fullmatch(found)
    if match is None:
        wanted = "a percentage from 0 to less than 100, with up to 4 digits after the point"
        raise refuse(wrong(wanted, value) if found is None else f"must be {wanted}, not {shown(found)}")
    return int(match[1]) * 10_000 + int((match[2] or "").ljust(4, "0"))


def share_percent(value: object) -> int:
    """The parts per million of a percentage of more than 0 and at most 100."""
    found = 1_000_000 if as_text(value) == "100" else percent(value)
    if not found:
        raise refuse(f"must be more than 0, not {shown(value)}")
    return found


def price(value: object) -> int | None:
    """How an order's price is found: the micro-units of a fixed one, None where the endpoint is asked."""
    if value == "bid":
        return None
    found = as_text(value)
    if found is None or parse_amount(found) is None:
        wanted = 'bid or an amount such as "12.00"'
        raise refuse(f"must be {wanted}, not {shown(value)}" if isinstance(value, str) else wrong(wanted, value))
    return fixed_price(value)


def fixed_price(value: object) -> int:
    """The micro-units of a gross price that is charged as it is written."""
    micros = amount(value)
    if not micros or floor_to_cent(micros) != micros:
        raise refuse(f"must be whole cents, and at least one, not {shown(value)}")
    return micros


_TEXT = written({"type": ["string", "integer"]})
_AMOUNT_WRITTEN = {"type": ["string", "number"], "pattern": r"^[0-9]{1,12}(\.[0-9]{1,6})?$", "minimum": 0}
_AMOUNT = written(_AMOUNT_WRITTEN)
_PERCENT_WRITTEN = written({"type": ["string", "number"], "pattern": r"^[0-9]{1,2}(\.[0-9]{1,4})?$", "minimum": 0})
_SHARE_PERCENT_WRITTEN = written(
    {
        "type": ["string", "number"],
        "pattern": r"^(100|[0-9]{1,2}(\.[0-9]{1,4})?)$",
        "exclusiveMinimum": 0,
        "maximum": 100,
    }
)
_PRICE = written({"anyOf": [{"const": "bid"}, _AMOUNT_WRITTEN]})

Text = Annotated[str, PlainValidator(text, _TEXT)]
Template = Annotated[str, PlainValidator(template, _TEXT)]
Flag = Annotated[bool, PlainValidator(flag, bool)]
Key = Annotated[str, PlainValidator(key, str)]
Amount = Annotated[int, PlainValidator(amount, _AMOUNT)]
Percent = Annotated[int, PlainValidator(percent, _PERCENT_WRITTEN)]
SharePercent = Annotated[int, PlainValidator(share_percent, _SHARE_PERCENT_WRITTEN)]
Price = Annotated[int | None, PlainValidator(price, _PRICE)]
FixedPrice = Annotated[int, PlainValidator(fixed_price, _AMOUNT)]
MaxBid = Annotated[int | None, optional(amount)]
