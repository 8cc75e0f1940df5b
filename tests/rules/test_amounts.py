"""Amounts by what a lead says: the first rule whose filter accepts it, found by sets as by looking at each."""

from hypothesis import given
from hypothesis import strategies as st
from support.market import VERTICAL

from exchange.marketfile.reader import read
from exchange.rules.amounts import compile_amounts
from exchange.rules.filters import holds
from exchange.values.filters import Condition, Filter
from exchange.values.market import AmountRule
from exchange.values.vertical import Lead

AUTO = read({"version": 1, "currency": "USD", "verticals": {"auto": VERTICAL}}).verticals["auto"]

conditions = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from([Condition(any_of=frozenset({"IL", "WI"})), Condition(none_of=frozenset({"IL"}))]),
        "age": st.sampled_from([Condition(minimum=30), Condition(maximum=40), Condition(minimum=20, maximum=50)]),
        "credit": st.sampled_from([Condition(any_of=frozenset({"good"}))]),
    },
)
rules = st.lists(st.builds(AmountRule, conditions.map(Filter), st.integers(1, 100)), max_size=5)
leads = st.fixed_dictionaries(
    {"zip": st.just("60601")},
    optional={
        "state": st.sampled_from(["IL", "WI", "CA"]),
        "age": st.integers(16, 60),
        "credit": st.sampled_from(["good", "poor"]),
    },
)


def accepted(rule: AmountRule, lead: Lead) -> bool:
    return holds(rule.when, lead, AUTO.fields)


@given(st.dictionaries(st.sampled_from("abcd"), rules), leads)
def test_the_first_rule_that_accepts_a_lead_counts(given_rules: dict[str, list[AmountRule]], lead: Lead) -> None:
    expected = {}
    for subject, own in given_rules.items():
        first = next((rule.micros for rule in own if accepted(rule, lead)), None)
        if first is not None:
            expected[subject] = first
    compiled = compile_amounts(AUTO, given_rules)
    assert (compiled is None) == (not any(given_rules.values()))
    assert ({} if compiled is None else compiled.of(lead)) == expected
