"""Consent: the ping fields in which a person must have agreed before a lead may be offered."""

from collections.abc import Iterable

from exchange.values.vertical import Lead


def all_given(lead: Lead, fields: Iterable[str]) -> bool:
    """Whether a lead says yes in every one of these boolean fields, or has the text that proves it. Absent means no."""
    return all(map(lead.get, fields))
