"""Reads the leads that sellers send into normalised fields: what a ping may carry, and what a post adds to it."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from exchange.errors import FieldError
from exchange.rules.fields import Outcome, Reader, reader_for, required_error
from exchange.rules.geography import state_of_zip
from exchange.values.vertical import CONTACT_TYPES, Field, FieldType, Lead, Stage, Value, Vertical

IGNORED_NAMES_MAX = 50
"""Dropped fields that are named in an answer; any more are dropped all the same."""

FIELD_NAME_LENGTH_MAX = 64
"""Characters of a dropped field's name that are shown."""

HIDDEN_NAME = "(hidden)"
"""Stands for a dropped field whose name has odd characters or could itself be a phone number or an e-mail address."""

_PLAIN_NAME = re.compile(r"[A-Za-z_. -]*(?:[0-9][A-Za-z_. -]*){0,6}")

_RawLead = Mapping[str, object]
_Absence = Callable[[_RawLead], Outcome]
_Step = tuple[str, Reader, _Absence | None]


class PingLead(NamedTuple):
    """A ping's fields. `ignored` names what was dropped, in the order sent; `errors` are in catalogue order."""

    values: dict[str, Value]
    ignored: tuple[str, ...]
    errors: tuple[FieldError, ...]


@dataclass(frozen=True, slots=True)
class PostLead:
    """A post's full lead: the ping's values and what the post adds.

    `changed` names the ping fields that were sent again with another value or an unreadable one; what the ping had
    holds. `ignored` names fields that the vertical does not know.
    """

    values: dict[str, Value]
    ignored: tuple[str, ...]
    changed: tuple[str, ...]
    errors: tuple[FieldError, ...]


@dataclass(frozen=True, slots=True)
class WholeLead:
    """A lead sent in one call: `ping` is the part that may be offered around, `values` is everything."""

    ping: dict[str, Value]
    values: dict[str, Value]
    ignored: tuple[str, ...]
    errors: tuple[FieldError, ...]


class LeadReader:
    """The compiled field catalogue of one vertical, fixed once it is made. No method raises, whatever is sent.

    A field that names a person by itself (`CONTACT_TYPES`) belongs to the post, whatever its catalogue entry says.
    """

    __slots__ = ("_made_of", "_names", "_ping_names", "_ping_steps", "_steps")

    def __init__(self, vertical: Vertical) -> None:
        zip_of = _states_from_zip(vertical)
        self._made_of: Final = (vertical,)
        self._steps: Final[tuple[_Step, ...]] = tuple(
            (name, reader_for(item), _absence(item, zip_of.get(name))) for name, item in vertical.fields.items()
        )
        self._names: Final = frozenset(vertical.fields)
        self._ping_names: Final = frozenset(name for name, item in vertical.fields.items() if _is_ping_field(item))
        self._ping_steps: Final = tuple(step for step in self._steps if step[0] in self._ping_names)

    def __reduce__(self) -> tuple[type["LeadReader"], tuple[Vertical]]:
        """What is compiled cannot be sent to another process: it is made there again."""
        return LeadReader, self._made_of

    def read_ping(self, raw: _RawLead) -> PingLead:
        """Reads the ping fields and drops all others. An absent state comes from the ZIP code."""
        values, errors = _read(self._ping_steps, raw)
        return PingLead(values, _ignored(raw, self._ping_names), errors)

    def read_post(self, raw: _RawLead, ping_lead: Lead) -> PostLead:
        """Reads the fields that the post adds to `ping_lead`. Only those of the post stage can be in error.

        A ping field that the ping left out is taken from the post where it can be read.
        """
        held = self._ping_names | ping_lead.keys()
        read_values, errors = _read(self._steps, {**raw, **ping_lead})
        values = {**read_values, **ping_lead}
        changed = tuple(
            name for name, read, _ in self._steps if name in held and _differs(read, raw.get(name), values.get(name))
        )
        own_errors = tuple(error for error in errors if error.field not in held)
        return PostLead(values, _ignored(raw, self._names), changed, own_errors)

    def read_whole(self, raw: _RawLead) -> WholeLead:
        """Reads a lead that comes in one call, and the part of it that a ping would have carried."""
        values, errors = _read(self._steps, raw)
        ping = {name: value for name, value in values.items() if name in self._ping_names}
        return WholeLead(ping, values, _ignored(raw, self._names), errors)


def _read(steps: Iterable[_Step], raw: _RawLead) -> tuple[dict[str, Value], tuple[FieldError, ...]]:
    """All values and all errors, in catalogue order."""
    values: dict[str, Value] = {}
    errors: list[FieldError] = []
    get = raw.get
    for name, read, absence in steps:
        sent = get(name)
        if sent is not None:
            outcome = read(sent)
        elif absence is not None:
            outcome = absence(raw)
        else:
            continue
        if isinstance(outcome, FieldError):
            errors.append(outcome)
        elif outcome is not None:
            values[name] = outcome
    return values, tuple(errors)


def _differs(read: Reader, sent: object, held: Value | None) -> bool:
    """Whether a field was sent with anything but the value that holds."""
    if sent is None:
        return False
    outcome = read(sent)
    return outcome is not None and outcome != held


def _ignored(raw: _RawLead, known: frozenset[str]) -> tuple[str, ...]:
    if known.issuperset(raw):
        return ()
    unknown = [name for name in raw if name not in known]
    return tuple(_shown(name) for name in unknown[:IGNORED_NAMES_MAX])


def _shown(name: str) -> str:
    """A dropped field's name, cut to length, or a placeholder where the name may say more than a name should."""
    return name[:FIELD_NAME_LENGTH_MAX] if name and _PLAIN_NAME.fullmatch(name) else HIDDEN_NAME


def _is_ping_field(item: Field) -> bool:
    return item.stage is Stage.PING and item.type not in CONTACT_TYPES


def _states_from_zip(vertical: Vertical) -> dict[str, Field]:
    """The ZIP code field that a state is derived from, by the state's name; only where there is one of each."""
    ping_fields = [item for item in vertical.fields.values() if _is_ping_field(item)]
    zips = [item for item in ping_fields if item.type is FieldType.US_ZIP and not item.multiple]
    states = [item for item in ping_fields if item.type is FieldType.US_STATE and not item.multiple]
    return {states[0].name: zips[0]} if len(zips) == len(states) == 1 else {}


def _absence(item: Field, zip_field: Field | None) -> _Absence | None:
    """What becomes of a field that is not sent: nothing (None), an error, or the state of the ZIP code."""
    missing = required_error(item) if item.required else None
    if zip_field is not None:
        return _state_from(zip_field, missing)
    return None if missing is None else lambda _: missing


def _state_from(zip_field: Field, missing: FieldError | None) -> _Absence:
    name, read_zip = zip_field.name, reader_for(zip_field)

    def derive(raw: _RawLead) -> Outcome:
        zip_code = read_zip(raw.get(name))
        state = state_of_zip(zip_code) if isinstance(zip_code, str) else None
        return missing if state is None else state

    return derive
