"""Bodies of requests: whatever bytes come, they are read exactly or refused as the contract says, and never break."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.api import shapes
from exchange.api.body import DEPTH_MAX, parse_object
from exchange.api.desk import request_key
from exchange.api.door import Arrival
from exchange.errors import Problem
from exchange.values.money import AMOUNT_MICROS_MAX, format_amount

KEYS = ("campaign", "lead", "source", "ref", "min_price", "timeout_ms", "test", "identity_hashes", "ping_id", "other")
TEXTS = st.one_of(st.text(), st.sampled_from(["", "\0", "\ud800", "a\udfffb", "5.00", "€" * 300]))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
DOCUMENTS = st.one_of(VALUES, st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))


def arrival_with_key() -> Arrival:
    return Arrival("/v1/leads", [(b"idempotency-key", b"k")], 0.0)


def read_all(body: bytes) -> None:
    """Everything that is done with a body before the market is looked at."""
    document = parse_object(body)
    request_key(arrival_with_key(), "acme", document)
    shapes.read_lead(dict(document), body)
    shapes.read_ping(dict(document), body)


def problem_of(body: bytes) -> Problem | None:
    """The problem that a body has, if it has one; anything else that is raised is a defect."""
    try:
        read_all(body)
    except Problem as problem:
        return problem
    return None


def told(problem: Problem | None) -> tuple[int, str]:
    assert problem is not None, "a problem was expected"
    return problem.status, problem.code


@given(st.one_of(st.binary(max_size=200), DOCUMENTS.map(lambda document: json.dumps(document).encode())))
def test_no_body_breaks_anything(body: bytes) -> None:
    problem = problem_of(body)
    if problem is None:
        return
    orjson.dumps([[error.field, error.code, error.detail] for error in problem.errors])
    assert told(problem) in {(400, "malformed_json"), (422, "invalid_request"), (422, "invalid_lead")}


@given(DOCUMENTS)
def test_all_json_is_told_from_what_is_none(document: Any) -> None:
    for body, status in ((json.dumps(document), 422), (f"[{json.dumps(document)},]", 400)):
        problem = problem_of(body.encode())
        assert problem is None or problem.status == status
        assert problem is not None or isinstance(document, dict)


@pytest.mark.parametrize("depth", [DEPTH_MAX - 2, DEPTH_MAX, 200, 300, 900, 980, 1_000, 1_100, 20_000])
@pytest.mark.parametrize("begins", ['{"lead": ', '{"ref": "\\u0000", "lead": ', '{"ref": "\\ud800", "lead": '])
def test_a_deep_document_is_refused_whatever_is_in_it(depth: int, begins: str) -> None:
    body = (begins + "[" * depth + "]" * depth + "}").encode()
    status, code = told(problem_of(body))
    assert (status, code) == (422, "invalid_request") or (depth > 900 and status == 400)


def test_many_brackets_beside_one_another_are_not_deep() -> None:
    document: dict[str, Any] = {"lead": {"field": [[] for _ in range(1_000)]}}
    assert parse_object(json.dumps(document).encode()) == document


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 400, "1" * 5_000, "1" + "0" * 30, "0.1e-400"])
def test_numbers_beyond_a_double_are_json_and_no_amount(number: str) -> None:
    for name in ("min_price", "timeout_ms"):
        body = f'{{"campaign": "c", "lead": {{"n": {number}}}, "{name}": {number}}}'.encode()
        assert told(problem_of(body)) == (422, "invalid_request")


@given(st.integers(0, AMOUNT_MICROS_MAX))
def test_an_amount_as_a_number_is_read_as_exactly_as_its_text(micros: int) -> None:
    for written in (format_amount(micros), f'"{format_amount(micros)}"'):
        body = f'{{"campaign": "c", "lead": {{}}, "min_price": {written}}}'.encode()
        assert shapes.read_ping(parse_object(body), body).min_price_micros == micros


def test_of_a_repeated_key_the_last_one_holds_however_the_amount_is_written() -> None:
    for amounts, micros in (('"5.5"', 5_500_000), ("5.5", 5_500_000), ('1, "min_price": 6.5', 6_500_000)):
        body = f'{{"campaign": "c", "lead": {{"n": 1, "n": 2}}, "min_price": {amounts}}}'.encode()
        offered = shapes.read_ping(parse_object(body), body)
        assert (offered.min_price_micros, offered.lead) == (micros, {"n": 2})


@pytest.mark.parametrize(
    "written",
    [
        "-1", "-0.01", "1e2", "1E2", "0.1000001", "0.10000000000000000000000000000000001", "1234567890123", "true",
        '"-1"', '"1e2"', '" 5.00"', '"5,00"', '""', '"0.1000001"', '"1234567890123.00"', "[5]",
        '{"amount": 5}', '"NaN"',
    ],
)  # fmt: skip
def test_anything_else_is_no_amount(written: str) -> None:
    body = f'{{"campaign": "c", "lead": {{}}, "min_price": {written}}}'.encode()
    with pytest.raises(Problem) as caught:
        shapes.read_ping(parse_object(body), body)
    assert [(error.field, error.code) for error in caught.value.errors] == [("min_price", "wrong_type")]
