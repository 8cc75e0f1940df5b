"""Secrets: found where they are written, and resolved only where all of them can be had."""

import pytest
from market_example import changed, example

from exchange.marketfile.reader import read
from exchange.marketfile.secrets import masked, references, resolve


def test_every_reference_is_found_with_its_path() -> None:
    assert references(read(example())) == (
        ("buyers.northwind.endpoint.auth.bearer", "NORTHWIND_TOKEN"),
        ("buyers.southwind.endpoints.west.auth.basic.password", "WEST_PASSWORD"),
        ("buyers.eastwind.endpoint.auth.header.value", "EAST_KEY"),
        ("buyers.eastwind.endpoint.auth.header.value", "EAST_ID"),
    )


def test_secrets_are_kept_as_written() -> None:
    market = read(changed("buyers/northwind/endpoint/auth", {"bearer": "a$b{c}${env:X}"}))
    assert market.buyers["northwind"].endpoints["default"].auth.secret == "a$b{c}${env:X}"


@pytest.mark.parametrize(
    ("template", "secret"),
    [
        ("literal", "literal"),
        ("", ""),
        ("${env:A}", "one"),
        ("x${env:A}-${env:B}y${env:A}", "xone-${env:A}yone"),
        ("${env:MISSING}", None),
        ("${env:A}${env:MISSING}", None),
        ("${env:EMPTY}", None),
        ("${env:BROKEN}", None),
    ],
)
def test_a_template_is_resolved_once_and_whole(template: str, secret: str | None) -> None:
    environment = {"A": "one", "B": "${env:A}", "EMPTY": "", "BROKEN": "x\r\nX-Evil: y"}
    assert resolve(template, environment) == secret


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("s3cret", "***"),
        ("${env:A}", "${env:A}"),
        ("key ${env:A}${env:B} s3cret", "***${env:A}${env:B}***"),
    ],
)
def test_what_is_written_out_is_masked(template: str, text: str) -> None:
    assert masked(template) == text
