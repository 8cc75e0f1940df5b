"""Of a buyer's own words only those from the list are kept, and nothing can be said with them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.canary import SPELLINGS, sightings

from exchange.rules.plain_words import GAP, WORDS, plain_words, with_gaps


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("duplicate phone +1 (312) 555-0177", "duplicate phone …"),
        ("had Zanzibella  Quux before", "had … before"),
        ("No buyer covers 60601", "No buyer covers …"),
        ("Filtered \u2013 No Coverage", "Filtered \u2013 No Coverage"),
        ("BadRequest", "BadRequest"),
        ("BadZanzibella", ""),
        ("DUPLICATE_LEAD: zanzi@example.com", "DUPLICATE_LEAD: …"),
        ("<Lead rejected>", "Lead rejected"),
        ("state CA is not licensed, Ca is nobody", "state CA is not licensed, … is …"),
        ("duplicate (30 days)", "duplicate 30 days"),
        ("ERR_45: below floor 21.50", "ERR_45: below floor 21.50"),
        ("dup of 312 555 01 77, born 12/04/85", "dup of …, born …"),
        ("(312) 555-017", ""),
        ("d3e0a07c", ""),
        ("+1 312 555 0177", ""),
        ("...", ""),
        ("", ""),
        ("\u217dover", ""),  # a letter that lower() turns into another is none of ours
    ],
)
def test_what_is_not_from_the_list_is_a_gap(said: str, kept: str) -> None:
    assert plain_words(said) == kept


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_nobody_is_seen_in_what_is_kept(spelling: str) -> None:
    kept = plain_words(f"duplicate lead {spelling}: {spelling.encode().hex()} before")
    assert kept.startswith("duplicate lead …")
    assert sightings([("the text", kept)]) == []


@given(st.text(max_size=255))
def test_a_text_that_is_kept_is_kept_again_and_has_short_numbers_only(said: str) -> None:
    kept = plain_words(said)
    assert plain_words(kept) == kept
    assert re.search(r"\d{4}", kept) is None
    assert f"{GAP}{GAP}" not in kept


@given(st.lists(st.sampled_from(sorted(WORDS - {"a"})), min_size=1, max_size=8))
def test_words_of_the_list_are_kept_as_they_are_written(words: list[str]) -> None:
    for said in (" ".join(words), "_".join(words).upper(), "".join(map(str.capitalize, words))):
        assert plain_words(said) == said


def test_a_name_that_is_a_usual_word_is_a_gap_for_its_lead() -> None:
    assert with_gaps("lead of Price refused, PriceTooLow", frozenset({"price"})) == "lead of … refused, …"
    assert with_gaps("price too low", frozenset()) == "price too low"
