"""What is shipped in `deploy/`, and what its queries name."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from exchange.observe import metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus"
DASHBOARDS = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
ADDED = {"job", "instance", "le", "alertname", "severity"}
"""Labels that are not the exchange's: Prometheus, a histogram or a rule adds them."""


class Query(NamedTuple):
    """A query, and where it stands."""

    place: str
    text: str


class Selector(NamedTuple):
    """A metric as a query names it, with the labels that it asks for."""

    name: str
    labels: dict[str, str]


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def panels() -> Iterator[tuple[str, str, list[str]]]:
    """Each panel of each dashboard: the dashboard, its title, its queries."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            if queries := [target["expr"] for target in panel.get("targets", ())]:
                yield path.stem, panel["title"], queries


def rules() -> Iterator[dict[str, Any]]:
    for name in ("recording.yml", "alerts.yml"):
        for group in read_yaml(RULES / name)["groups"]:
            yield from group["rules"]


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def all_queries() -> list[Query]:
    shown = [Query(f"{board}: {title}", text) for board, title, texts in panels() for text in texts]
    ruled = [Query(rule.get("record") or rule["alert"], rule["expr"]) for rule in rules()]
    return shown + ruled


def selectors(text: str) -> Iterator[Selector]:
    """The metrics of the exchange in a query, and what was recorded of them."""
    for name, inside in re.findall(r"\b((?:[a-z_]+:)?exchange_[a-z0-9_]+(?::[a-z0-9_]+)?)(?:\{([^}]*)\})?", text):
        yield Selector(name, dict(re.findall(r'(\w+)(?:=|!=|=~|!~)"([^"]*)"', inside)))


def samples() -> dict[str, tuple[str, ...]]:
    """Every sample's name that `/metrics` can show, with its labels."""
    found: dict[str, tuple[str, ...]] = {}
    for table in metrics.ALL:
        ends = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}[table.kind]
        found |= {table.name + end: table.labels for end in ends}
    return found
