"""The rules of a mapping on one answer, compiled: what holds of it, and what it says where."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from exchange.buyers.dialects.paths import Find, json_finder, xml_finder
from exchange.rules.patterns import searcher
from exchange.values.mapping import Condition, Format, SaleWords, Saying
from exchange.values.market import Sale
from exchange.values.money import parse_amount

UNREADABLE: Final = object()


class Answer(NamedTuple):
    """An answer: its status, its text, and the document that it is, UNREADABLE with a `fault` where it is none."""

    status: int
    text: str
    document: Any
    fault: str = ""


_SUCCESSFUL = frozenset(range(200, 300)).__contains__

Holds = Callable[[Answer], bool]
Say = Callable[[Answer], str | None]
Suits = Callable[[Any], bool]


def any_of(conditions: tuple[Condition, ...], form: Format) -> Holds:
    """Whether one of some conditions holds; never without any."""
    compiled = [_condition(condition, form) for condition in conditions]
    if len(compiled) < 2:
        return compiled[0] if compiled else _never

    def holds(answer: Answer) -> bool:
        return any(one(answer) for one in compiled)

    return holds


def _never(_: Answer) -> bool:
    return False


def _condition(condition: Condition, form: Format) -> Holds:
    if not condition.also:
        return _single(condition, form)
    every = [_single(condition, form), *(_single(other, form) for other in condition.also)]
    return lambda answer: all(one(answer) for one in every)


def _single(condition: Condition, form: Format) -> Holds:
    in_status = statuses(condition.statuses)
    if condition.at is None:
        search = None if condition.matches is None else searcher(condition.matches)
        if search is None:
            return lambda answer: in_status(answer.status)
        return lambda answer: in_status(answer.status) and search(answer.text) is not None
    find, suits = _finder(condition.at, form), value_test(condition)

    def holds(answer: Answer) -> bool:
        if not in_status(answer.status) or answer.document is UNREADABLE:
            return False
        return suits(find(answer.document))

    return holds


def statuses(wanted: tuple[str, ...]) -> Callable[[int], bool]:
    """Whether a status is one that a condition wants."""
    if not wanted:
        return _SUCCESSFUL
    allowed = frozenset(
        status
        for word in wanted
        for status in (range(int(word[0]) * 100, int(word[0]) * 100 + 100) if "x" in word else (int(word),))
    )
    return allowed.__contains__


def value_test(condition: Condition) -> Suits:
    """Whether a condition at a path holds of what stands there: text, true or false; None is nothing."""
    suits, exists = _text_test(condition), condition.exists
    if suits is None:
        return is_nothing if exists is False else is_something

    def holds(value: Any) -> bool:
        text = text_in(value)
        return exists is False if text is None else exists is not False and suits(text)

    return holds


def is_something(value: Any) -> bool:
    """Whether there is a text, a number or a truth value."""
    return isinstance(value, (str, bool))


def is_nothing(value: Any) -> bool:
    """Whether there is nothing, or no single value."""
    return not isinstance(value, (str, bool))


def text_in(value: Any) -> str | None:
    """What is found, as text; None for whatever is neither text nor a truth value."""
    if isinstance(value, str):
        return value
    return ("true" if value else "false") if isinstance(value, bool) else None


def _text_test(condition: Condition) -> Callable[[str], bool] | None:
    tests: list[Callable[[str], bool]] = []
    if condition.values is not None:
        words, negated = frozenset(word.casefold() for word in condition.values), condition.negated
        tests.append(lambda text: (text in words or text.strip().casefold() in words) is not negated)
    if condition.matches is not None:
        search = searcher(condition.matches)
        tests.append(lambda text: search(text) is not None)
    if condition.above_micros is not None:
        least = condition.above_micros
        tests.append(lambda text: (micros := parse_amount(text)) is not None and micros > least)
    if len(tests) < 2:
        return tests[0] if tests else None
    return lambda text: all(test(text) for test in tests)


def said(saying: Saying | None, form: Format) -> Say:
    """What stands at a path, or in it the group of a pattern; without a path the pattern goes over the whole answer."""
    if saying is None:
        return _nothing
    search = None if saying.matches is None else searcher(saying.matches)
    if saying.at is None:
        return _nothing if search is None else lambda answer: search(answer.text)
    find = _finder(saying.at, form)

    def say(answer: Answer) -> str | None:
        text = None if answer.document is UNREADABLE else text_in(find(answer.document))
        return text if text is None or search is None else search(text)

    return say


def _nothing(_: Answer) -> None:
    return None


def sale_of(words: SaleWords | None, form: Format) -> Callable[[Answer], Sale | str | None]:
    """For what sale a bid says that it is; None where it says nothing, its word where that is none of those agreed."""
    if words is None:
        return _nothing
    say = said(words.saying, form)
    known = {word.casefold(): Sale.SHARED for word in words.shared}
    known |= {word.casefold(): Sale.EXCLUSIVE for word in words.exclusive}

    def read(answer: Answer) -> Sale | str | None:
        text = say(answer)
        return known.get(text.strip().casefold(), text) if text else None

    return read


def _finder(at: str, form: Format) -> Find:
    return xml_finder(at) if form is Format.XML else json_finder(at)
