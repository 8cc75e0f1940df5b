"""Amounts that depend on the lead: each subject has rules, and the first whose filter accepts the lead counts.

The filters of all rules of a campaign are compiled together, so a lead meets them in one operation on sets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exchange.rules.matching import Matcher, compile_filters
from exchange.values.market import AmountRule
from exchange.values.vertical import Lead, Vertical


@dataclass(frozen=True, slots=True)
class Amounts:
    """The rules of many subjects, compiled: bit `i` of the matcher's sets is `micros[i]`.

    `masks` has the bits of each subject's rules, in their order.
    """

    matcher: Matcher
    micros: Sequence[int]
    masks: Mapping[str, int]

    def of(self, lead: Lead) -> Mapping[str, int]:
        """The amount of each subject that has a rule for this lead."""
        found, amounts = self.matcher.matching(lead), {}
        for subject, mask in self.masks.items():
            if mine := found & mask:
                amounts[subject] = self.micros[(mine & -mine).bit_length() - 1]  # the lowest bit is the first rule
        return amounts


def compile_amounts(vertical: Vertical, rules: Mapping[str, Sequence[AmountRule]]) -> Amounts | None:
    """Compiles the rules by subject; None where there are none."""
    every: list[AmountRule] = []
    masks: dict[str, int] = {}
    for subject, own in rules.items():
        if own:
            masks[subject] = ((1 << len(own)) - 1) << len(every)
            every.extend(own)
    if not every:
        return None
    return Amounts(compile_filters(vertical, [rule.when for rule in every]), [rule.micros for rule in every], masks)
