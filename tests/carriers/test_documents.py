"""A sold lead as CSV and in templates: values that there are several of stand in one text, and formulas are found."""

import csv
import io
from datetime import UTC, datetime

from exchange.buyers.dialects.wire import Post
from exchange.carriers.documents import Parcel, csv_file, formula_in, template_values
from exchange.dialect_cases import ATTEMPT_ID, PING_ID
from exchange.values.market import Sale
from exchange.values.vertical import Field, FieldType, Lead, Stage, Vertical

FIELDS = {
    "cars": Field("cars", FieldType.TEXT, Stage.PING, multiple=True),
    "years": Field("years", FieldType.INTEGER, Stage.PING, multiple=True),
}


def parcel(lead: Lead) -> Parcel:
    post = Post(ATTEMPT_ID, PING_ID, None, "o", "c", False, 21_000_000, "USD", Sale.EXCLUSIVE, lead)
    return Parcel(post, datetime(2026, 1, 31, tzinfo=UTC))


def test_several_values_are_one_text() -> None:
    found = parcel({"cars": ['Saab "900"', "Opel"], "years": [1987, 1990]})
    [row] = csv.DictReader(io.StringIO(csv_file([found], list(FIELDS)).decode()))
    assert (row["cars"], row["years"]) == ('Saab "900", Opel', "1987, 1990")
    values = template_values(found)
    assert (values["lead.cars"], values["lead"]) == ('Saab "900", Opel', 'cars: Saab "900", Opel\nyears: 1987, 1990')


def test_a_formula_is_found_where_it_would_begin_a_cell() -> None:
    vertical = Vertical("auto", FIELDS)
    assert formula_in({"cars": ["=1+1", "Opel"]}, vertical) == "cars"
    assert formula_in({"cars": ["Opel", "=1+1"], "years": [-1]}, vertical) is None
