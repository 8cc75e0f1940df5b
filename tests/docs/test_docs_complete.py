"""What there is is documented, and what is documented is there: settings, metrics, codes, commands, links, examples."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from exchange import settings
from exchange.api.admin_shapes import ADMIN_CODES
from exchange.cli import app
from exchange.marketfile.reader import load
from exchange.marketfile.source import parse
from exchange.observe import metrics
from exchange.observe.tables import Table
from exchange.simulation.answers import PROBLEM_CODES
from exchange.simulation.market import render_demo_market
from exchange.storage.invariants import INVARIANTS
from exchange.values.reason import Reason

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
DECISIONS = DOCS / "decisions"
PAGES = [
    ROOT / "README.md",
    *sorted(DOCS.rglob("*.md")),
    ROOT / "loadtests/README.md",
    ROOT / "loadtests/figures.md",
    ROOT / "loadtests/bench/README.md",
]
SOURCES = [path for path in (ROOT / "exchange").rglob("*.py") if "simulation" not in path.parts]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


def rows(page: str, first: str) -> list[list[str]]:
    """The rows of a reference page's tables whose first cell matches `first`."""
    lines = [line for line in (REFERENCE / page).read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if re.fullmatch(first, row[0])]


def section(page: str, title: str) -> str:
    """What stands under one heading of a reference page."""
    return (REFERENCE / page).read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced code blocks of a page in one of these languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [text for language, text in found if language in languages]


def calls(*names: str) -> Iterator[tuple[Path, ast.Call]]:
    """Every call of a function of these names in the package."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in names:
                yield path, node


def literals(index: int, *names: str) -> set[str]:
    """The texts written as that argument of these functions."""
    found = [node.args[index] for _, node in calls(*names) if len(node.args) > index]
    return {item.value for item in found if isinstance(item, ast.Constant) and isinstance(item.value, str)}


# Reference pages


def test_every_setting() -> None:
    documented = {row[0]: row[1] for row in rows("settings.md", "EXCHANGE_.*|`EXCHANGE_.*")}
    fields = settings.Settings.model_fields
    defaults = {f"{settings.PREFIX}{name.upper()}": field.default for name, field in fields.items()}
    assert documented == {name: "none" if default is None else str(default) for name, default in defaults.items()}


def test_every_metric() -> None:
    there = {}
    for metric in metrics.ALL:
        name = f"{metric.name}_total" if metric.kind == "counter" else metric.name
        there[name] = [metric.kind, ", ".join(f"`{label}`" for label in metric.labels).strip("`")]
    assert {row[0]: row[1:3] for row in rows("metrics.md", "exchange_.*") if len(row) == 4} == there
    tables = {id(item) for item in vars(metrics).values() if isinstance(item, Table)}
    assert tables == {id(table) for table in metrics.REGISTRY.tables}


def test_every_limit_and_cause_that_is_counted() -> None:
    sources = "".join(path.read_text() for path in SOURCES)
    for table, labels in (
        ("exchange_limits_hit_total", "LIMITS_HIT"),
        ("exchange_requests_shed_total", "REQUESTS_SHED"),
    ):
        [[_, _, _, meaning]] = rows("metrics.md", table)
        counted = {
            name for line in re.findall(rf"{labels}\.add\((.*)\)", sources) for name in re.findall(r'"(\w+)"', line)
        }
        settings_there = {name for name in counted if name in settings.Settings.model_fields}
        assert counted - settings_there - {"figures"} == set(re.findall(r"`(\w+)`", meaning)) - {"figures"}, table


def test_every_reason_code() -> None:
    documented = rows("reason-codes.md", "[0-9]+")
    assert {(int(code), name) for code, name, *_ in documented} == {(int(item), item.wire_name) for item in Reason}
    for reason in Reason:
        meanings = [meaning for code, _, meaning, _ in documented if int(code) == reason]
        assert any(meaning.startswith(reason.text.rstrip(".")) for meaning in meanings), reason.wire_name


def test_reason_codes_that_are_not_given_yet_say_so() -> None:
    used = set(re.findall(r"Reason\.([A-Z_]+)", "".join(path.read_text() for path in SOURCES)))
    for code, name, _, today in rows("reason-codes.md", "[1-9][0-9]*"):
        assert today == ("yes" if name.upper() in used else "not yet"), f"{code} {name}"


def test_every_problem_code() -> None:
    documented = rows("problems.md", "[0-9]+")
    known = {
        (status, code) for table in (PROBLEM_CODES, ADMIN_CODES) for status, codes in table.items() for code in codes
    }
    assert {(int(status), code) for status, code, *_ in documented} == known
    raised = literals(1, "Problem")
    assert raised <= {code for _, code in known}
    doors = "".join(path.read_text() for path in (ROOT / "exchange/api").glob("*.py"))
    for _, code, when, _ in documented:
        assert ("not in this version" in when) == (f'"{code}"' not in doors), code


def test_every_field_error_code() -> None:
    documented = set(re.findall(r"^\| `(\w+)` \|", section("problems.md", "Codes of `errors`"), re.MULTILINE))
    assert documented == literals(1, "FieldError")


def test_every_log_event() -> None:
    levels = ("debug", "info", "warning", "error", "exception")
    logged = {
        node.args[0].value
        for path, node in calls(*levels)
        if isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "log" and node.args
        if isinstance(node.args[0], ast.Constant)
    }
    table = (DOCS / "operate/running.md").read_text().partition("## Logs")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)} == logged


# The command line


@cache
def commands() -> dict[str, dict[str, Any]]:
    """The options of each command that is shown, with their defaults."""
    found = {}

    def walk(command: Any, path: str) -> None:
        for name, child in getattr(command, "commands", {}).items():
            walk(child, f"{path} {name}".strip())
        if not hasattr(command, "commands") and not command.hidden:
            options = [item for item in command.params if item.param_type_name == "option" and not item.hidden]
            found[path] = {option: item.default for item in options for option in item.opts}

    walk(get_command(app), "")
    return found


def test_every_command_and_option() -> None:
    page = (REFERENCE / "cli.md").read_text()
    assert sorted(re.findall(r"^## exchange (.*)$", page, re.MULTILINE)) == sorted(commands())
    for name, options in commands().items():
        table = re.findall(r"^\| `(--[a-z-]+)` \| (.*?) \|", section("cli.md", f"exchange {name}"), re.MULTILINE)
        assert [option for option, _ in table] == list(options), name
        for option, default in table:
            there = options[option]
            if there is not None:
                assert default == {False: "off", "": "empty"}.get(there, str(there)), f"{name} {option}"


@each_page
def test_commands_in_the_text_exist(page: Path) -> None:
    text = page.read_text()
    found = re.findall(r"^(?:    |\$ )(?:KEY=\$\()?exchange ([a-z].*)$", text, re.MULTILINE)
    for line in found + re.findall(r"`exchange ([a-z][^`]*)`", text):
        words = shlex.split(line.replace("…", "").rstrip(")\\"), comments=True)
        name = next((" ".join(words[:size]) for size in (2, 1) if " ".join(words[:size]) in commands()), None)
        assert name or words[0] in {path.split()[0] for path in commands()}, line
        known = commands().get(name or "", {})
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= {*known, "--help"}, line


@each_page
def test_make_targets_in_the_text_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = re.findall(r"(?:`|^    |^\$ )make ([a-z]+)", page.read_text(), re.MULTILINE)
    assert set(used) <= targets
    if page == ROOT / "README.md":
        assert {"demo", "test"} <= set(used)


# Links and examples


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made on the usual sites."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_index() -> None:
    for index in (DOCS / "README.md", DECISIONS / "README.md"):
        linked = {(index.parent / link).resolve() for link in re.findall(r"\]\(([^)\s]+\.md)\)", index.read_text())}
        pages = {path for path in index.parent.rglob("*.md") if path != index}
        if index.parent == DOCS:
            pages = {path for path in pages if DECISIONS not in path.parents} | {DECISIONS / "README.md"}
        assert linked == pages, index


@pytest.mark.parametrize("page", sorted(DECISIONS.glob("[0-9]*.md")), ids=name_of)
def test_decisions_are_short_and_whole(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert len(lines) <= 40
    assert lines[0].startswith(f"# {int(page.name[:4])}. ")
    assert [line for line in lines if line in {"## Context", "## Decision", "## Consequences"}] == [
        "## Context", "## Decision", "## Consequences",
    ]  # fmt: skip


@each_page
def test_examples_can_be_read(page: Path) -> None:
    for text in blocks(page, "json"):
        rest = text.strip()
        while rest:
            _, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:].strip()
    for text in blocks(page, "yaml"):
        if text.startswith("version:"):
            load(text)  # a whole market file
        else:
            parse(text)


def test_the_quickstart_shows_what_doctor_says() -> None:
    shown = re.findall(r"^ok    (.+)$", (DOCS / "quickstart.md").read_text(), re.MULTILINE)
    assert shown[-len(INVARIANTS) :] == list(INVARIANTS)
    assert [line.split(":")[0] for line in shown[: -len(INVARIANTS)]] == ["master key", "schema", "Valkey", "market"]


def test_the_example_market_can_be_read() -> None:
    _, market = load(render_demo_market(9201))
    assert market.orders
