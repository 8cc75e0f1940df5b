"""Bids in JSON that are written as others before them, but for the values: a pattern finds these, nothing is parsed."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from exchange.buyers.dialects.conditions import Suits, is_nothing, is_something
from exchange.buyers.dialects.said import TEXT_LENGTH_MAX
from exchange.values.money import MICROS_PER_CENT

KEYS_MAX = 32
PRICES_MAX = 512
VERDICTS_MAX = 64
"""How many words are remembered with what the rules make of them, of one way of writing."""

Steps = tuple[str | int, ...]

Clear = tuple[int, str | None]
"""A clear bid: its gross price in micro-units, and its token."""

Form = Callable[[bytes], Clear | None]
"""Reads answers that are written in one way; None for all others, and for what is not clearly a bid."""

Amount = Callable[[str], int | None]

Parts = tuple[tuple[str, Suits], ...]
"""A condition by its keys: all of them must hold."""

_VALUE = rb'("[ !#-\[\]-~]*+"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|true|false)'
"""A text that stands for itself, a number, or a truth value: what any reader of JSON reads alike, or keeps as text."""

_PLAIN_KEY = re.compile(r"[ !#-\[\]-~]+", re.ASCII)


class Plan(NamedTuple):
    """Of an object with certain keys: the rules that may hold, against a bid and for it, and where it says what."""

    against: Sequence[Parts]
    for_it: Sequence[Parts]
    price: str | None
    bid_id: str | None

    def is_bid(self, found: Mapping[str, Any]) -> bool:
        """Whether some rule says yes of an object, and none no."""
        return _some_holds(self.for_it, found) and not _some_holds(self.against, found)


def form_of(at: Steps, keys: tuple[str, ...], plan: Plan, amount: Amount, *, needs_bid_id: bool) -> Form | None:
    """What reads answers with these keys in this order below `at`, and nothing around them; None if none can be."""
    above = [step for step in at if isinstance(step, str)]
    has_all = plan.price is not None and (plan.bid_id is not None or not needs_bid_id) and len(above) == len(at)
    if not has_all or len(keys) > KEYS_MAX or not all(map(_PLAIN_KEY.fullmatch, (*above, *keys))):
        return None
    members = b", ?".join(_key(key) + _VALUE for key in keys)
    start = b"".join(rb"\{" + _key(step) for step in above)
    match = re.compile(start + rb"\{" + members + rb"\}" * (1 + len(at))).fullmatch
    left_open = plan._replace(against=_open(plan.against), for_it=_open(plan.for_it))
    if not all(left_open.for_it):
        left_open = left_open._replace(for_it=[()])  # one of them holds whatever the values are
    judge, place = _judge(keys, left_open), {key: number for number, key in enumerate(keys, 1)}
    if judge is None and not left_open.is_bid({}):
        return None
    return _reader(match, judge, _Prices(amount), place[plan.price or ""], place.get(plan.bid_id or "", 0))


def _reader(
    match: Callable[[bytes], "re.Match[bytes] | None"],
    judge: "Callable[[re.Match[bytes]], bool] | None",
    prices: "_Prices",
    at_price: int,
    at_bid_id: int,
) -> Form:
    """`at_price` and `at_bid_id` are groups of the pattern; 0: there is none."""

    def read(body: bytes) -> Clear | None:
        found = match(body)
        if found is None or (judge is not None and not judge(found)):
            return None
        gross_micros = prices[found[at_price]]
        if not at_bid_id or not gross_micros:
            return (gross_micros, None) if gross_micros else None
        bid_id = found[at_bid_id].decode()
        if bid_id[0] == '"':
            bid_id = bid_id[1:-1]
        return (gross_micros, bid_id) if 0 < len(bid_id) <= TEXT_LENGTH_MAX else None

    return read


class _Prices(dict[bytes, int]):
    """Prices as they are written, with what they are, rounded down to the cent; 0 for what is no price, or nothing."""

    def __init__(self, amount: Amount) -> None:
        super().__init__()
        self._amount = amount

    def __missing__(self, written: bytes) -> int:
        micros = self._amount(_text(written)) or 0
        gross_micros = micros - micros % MICROS_PER_CENT
        if len(self) < PRICES_MAX:
            self[written] = gross_micros
        return gross_micros


def _judge(keys: tuple[str, ...], plan: Plan) -> "Callable[[re.Match[bytes]], bool] | None":
    """What says whether an answer is a bid by the words that its rules look at; None where they look at none."""
    looked_at = [
        key for key in keys if any(key == name for parts in (*plan.against, *plan.for_it) for name, _ in parts)
    ]
    if not looked_at:
        return None
    groups = [keys.index(key) + 1 for key in looked_at]
    known: dict[object, bool] = {}

    def judge(found: "re.Match[bytes]") -> bool:
        words = found.group(*groups)
        verdict = known.get(words)
        if verdict is None:
            verdict = plan.is_bid({key: _text(found[group]) for key, group in zip(looked_at, groups, strict=True)})
            if len(known) < VERDICTS_MAX:
                known[words] = verdict
        return verdict

    return judge


def _open(conditions: Iterable[Parts]) -> list[Parts]:
    """Of conditions on values that are all there what is left open; those that cannot hold are left out."""
    possible = [parts for parts in conditions if all(suits is not is_nothing for _, suits in parts)]
    return [tuple((key, suits) for key, suits in parts if suits is not is_something) for parts in possible]


def _key(key: str) -> bytes:
    return b'"' + re.escape(key.encode()) + b'": ?'


def _text(value: bytes) -> str:
    return (value[1:-1] if value[:1] == b'"' else value).decode()


def _some_holds(conditions: Iterable[Parts], found: Mapping[str, Any]) -> bool:
    for parts in conditions:
        for key, suits in parts:
            if not suits(found[key]):
                break
        else:
            return True
    return False
