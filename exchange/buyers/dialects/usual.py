"""The short ways for bids in JSON: for each set of keys that comes it is worked out once which rules can hold at all.

They look at the same texts with the same tests as the long way, and know a clear bid only: for all else that decides.
What is written as an answer before it, but for the values, is not even parsed: a pattern finds these.
"""

from collections.abc import Iterable, Iterator
from types import NoneType
from typing import Any

import orjson

from exchange.buyers.dialects.amounts import amount_reader
from exchange.buyers.dialects.conditions import statuses, text_in, value_test
from exchange.buyers.dialects.forms import Form, Parts, Plan, Steps, form_of
from exchange.buyers.dialects.paths import find_in_json, json_path, key_for
from exchange.buyers.exact_json import InexactJsonError, loads
from exchange.values.mapping import Condition, Format, Money, ReplyRules, Saying

BYTES_MAX = 4_096
"""Of an answer that is read the short way."""

ESCAPED = "\\u"
"""By this JSON can spell what is no text."""

_ESCAPED = ESCAPED.encode()

PLANS_MAX = 8
"""Sets of keys that are remembered of one endpoint; one more, and they are learned anew."""

FORMS_MAX = 2
"""Ways of writing an answer that are known by a pattern, of one endpoint."""

Texts = tuple[str | None, str | None]
"""What a clear bid says of its price and of its token."""

_EXACT = frozenset({str, bool, NoneType}).issuperset
"""What any reader of JSON reads alike."""


class Usual:
    """Reads the bids of one endpoint, and remembers the sets of keys that came."""

    def __init__(self, rules: ReplyRules, at: Steps) -> None:
        """All that the rules look at are keys of one object, which stands at `at`."""
        self._at = at
        self._against = _compiled((*rules.error, *rules.duplicate, *rules.reject))
        self._for_it = _compiled(rules.success)
        self._price, self._bid_id = _last(rules.price), _last(rules.bid_id)
        self._has_texts_only = not at
        """Whether a reader will do that knows of no number's text, and of a repeated key by the colons alone."""
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._amount = amount_reader(rules.price.money if rules.price else Money.PLAIN)
        self._needs_bid_id = rules.bid_id is not None and not rules.bid_id.optional
        self.forms: list[Form] = []
        """What reads bids that are written as some before them; to be tried first."""
        self._tried: set[tuple[str, ...]] = set()

    def read(self, body: bytes) -> Texts | None:
        """What a 200 says where it is clearly a bid; None where the long way must say what it is."""
        found = self._object(body) if len(body) <= BYTES_MAX and _ESCAPED not in body else None
        if found is None:
            return None
        keys = tuple(found)
        plan = self._plans.get(keys) or self._learned(keys)
        if not plan.is_bid(found):
            return None
        if len(self.forms) < FORMS_MAX and keys not in self._tried:
            self._learn_form(keys, plan, body)
        price = None if plan.price is None else found[plan.price]
        bid_id = None if plan.bid_id is None else found[plan.bid_id]
        return (
            price if price.__class__ is str else text_in(price),
            bid_id if bid_id.__class__ is str else text_in(bid_id),
        )

    def _object(self, body: bytes) -> dict[str, Any] | None:
        """The object that the rules look at."""
        try:
            if self._has_texts_only:
                found = orjson.loads(body)
                if found.__class__ is dict and body.count(b":") == len(found) and _EXACT(map(type, found.values())):
                    return found
                self._has_texts_only = False
            found = find_in_json(self._at, loads(body))
        except (orjson.JSONDecodeError, InexactJsonError):
            return None
        return found if isinstance(found, dict) else None

    def _learned(self, keys: tuple[str, ...]) -> Plan:
        if len(self._plans) >= PLANS_MAX:
            self._plans.clear()
        price, bid_id = (None if name is None else key_for(keys, name) for name in (self._price, self._bid_id))
        plan = Plan(tuple(_possible(self._against, keys)), tuple(_possible(self._for_it, keys)), price, bid_id)
        self._plans[keys] = plan
        return plan

    def _learn_form(self, keys: tuple[str, ...], plan: Plan, body: bytes) -> None:
        """Knows by a pattern what is written as this answer is, if a pattern can know it."""
        if len(self._tried) < PLANS_MAX:
            self._tried.add(keys)
            form = form_of(self._at, keys, plan, self._amount, needs_bid_id=self._needs_bid_id)
            if form is not None and form(body) is not None:
                self.forms.append(form)


def usual_of(rules: ReplyRules) -> Usual | None:
    """The short way for these rules; None where they look at more than the keys of one object in JSON."""
    conditions = [part for condition in _conditions(rules) for part in (condition, *condition.also)]
    sayings = [saying for saying in (rules.price, rules.bid_id) if saying is not None]
    places = [condition.at for condition in conditions] + [saying.at for saying in sayings]
    if rules.bids is not None or rules.sale is not None or rules.max_shares is not None:
        return None
    if rules.format is not Format.JSON or rules.charset != "utf-8" or any(saying.matches for saying in sayings):
        return None
    paths = [json_path(place) for place in places if place is not None]
    above = {steps[:-1] for steps in paths}
    if len(paths) < len(places) or len(above) != 1 or any(isinstance(steps[-1], int) for steps in paths):
        return None
    return Usual(rules, *above)


def _conditions(rules: ReplyRules) -> Iterator[Condition]:
    yield from (*rules.error, *rules.duplicate, *rules.reject, *rules.success)


def _last(saying: Saying | None) -> str | None:
    return None if saying is None or saying.at is None else str(json_path(saying.at)[-1])


def _compiled(conditions: Iterable[Condition]) -> list[Parts]:
    """The conditions that a 200 can meet."""
    found = [(condition, *condition.also) for condition in conditions]
    return [
        tuple((str(json_path(part.at or "")[-1]), value_test(part)) for part in parts)
        for parts in found
        if all(statuses(part.statuses)(200) for part in parts)
    ]


def _possible(conditions: Iterable[Parts], keys: tuple[str, ...]) -> Iterator[Parts]:
    """Those that can hold of an object with these keys: of what is not there it is known what holds."""
    for parts in conditions:
        absent = [suits for name, suits in parts if key_for(keys, name) is None]
        if all(suits(None) for suits in absent):
            yield tuple((key, suits) for name, suits in parts if (key := key_for(keys, name)) is not None)
