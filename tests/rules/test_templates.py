"""Templates put values in their places, and a value never becomes anything else."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from exchange.rules.backoff import pause_s
from exchange.rules.templates import filled, filled_html, filled_line, is_malformed, names_in

HOSTILE = [
    "{{price}}",
    "a\r\nBcc: x@evil.example",
    "<script>alert(1)</script>",
    '" onload="x',
    "&amp;",
    "\u2028",
    "\x85b",
]


def test_names_are_found_and_what_only_looks_like_one_is_a_mistake() -> None:
    assert names_in("a {{ price }} {{lead.first_name}}") == ("price", "lead.first_name")
    assert not is_malformed("a {{ price }} } {")
    assert all(map(is_malformed, ["{{", "{{ }}", "{{a b}}", "{{price", "price}}"]))


@given(st.sampled_from(HOSTILE) | st.text())
def test_a_value_is_put_in_as_it_is_and_never_read_again(value: str) -> None:
    assert filled("<{{lead.x}}|{{missing}}>", {"lead.x": value, "price": "1.00"}) == f"<{value}|>"


@given(st.sampled_from(HOSTILE) | st.text())
def test_a_line_stays_one_line(value: str) -> None:
    line = filled_line("Lead {{lead.x}}", {"lead.x": value}, 100)
    assert len(line.splitlines()) == 1
    assert len(line) <= 100
    assert line.startswith("Lead")


class _Seen(HTMLParser):
    """What a reader of HTML sees."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_in_html_a_value_is_text_and_nothing_else(value: str) -> None:
    seen = _Seen()
    seen.feed(filled_html('<p title="{{lead.x}}">{{lead.x}}</p>', {"lead.x": value}))
    seen.close()
    assert seen.tags == [("p", [("title", value)])]
    assert seen.text == value


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_are_never_shorter_than_half_nor_longer_than_the_longest(tries: int, luck: float) -> None:
    whole = min(10 * 2 ** min(tries - 1, 60), 3600)
    assert whole / 2 <= pause_s(tries, 10, 3600, luck) <= whole
