"""The checker: three witnesses in, violations out, each with its story. Pure: it opens nothing and asks nobody."""

from exchange.simulation.chaos.evidence import Violation, Witnesses, gather
from exchange.simulation.chaos.rules_books import book_violations
from exchange.simulation.chaos.rules_buyers import buyer_violations
from exchange.simulation.chaos.rules_told import told_violations


def check(witnesses: Witnesses) -> list[Violation]:
    """Everything that must not be, and is. An empty list is a clean run."""
    evidence = gather(witnesses)
    return [*told_violations(evidence), *buyer_violations(evidence), *book_violations(evidence)]


def report(violations: list[Violation], stories_max: int = 20) -> str:
    """The violations for people: what was broken, then how it came about."""
    lines = []
    for number, violation in enumerate(violations):
        lines += [f"BROKEN: {violation.rule}", f"  {violation.text}"]
        if number < stories_max:
            lines += [f"    {line}" for line in violation.story]
    return "\n".join(lines)
