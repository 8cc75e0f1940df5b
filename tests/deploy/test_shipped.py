"""Dashboards, rules and the compose file name only what there is, and leave no metric out."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from shipped import ADDED, DASHBOARDS, DEPLOY, ROOT, RULES, all_queries, panels, read_yaml, recorded, samples, selectors
from typer.main import get_command

from exchange import settings
from exchange.api.admin_shapes import ADMIN_CODES
from exchange.cli import app
from exchange.commands.serving import stops_within_s
from exchange.observe import metrics
from exchange.simulation.answers import PROBLEM_CODES
from exchange.storage.posts import PostState
from exchange.values.reason import Reason
from exchange.values.trace import PingStatus

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
VALUES = {
    "reason": {reason.wire_name for reason in Reason},
    "code": {code for table in (PROBLEM_CODES, ADMIN_CODES) for codes in table.values() for code in codes},
    "status": {*map(str, PingStatus), *map(str, PostState)},
    "part": {"gross", "payout", "margin"},
    "role": {"gateway", "worker"},
    "door": {"ping", "post", "lead", "ping_state", "post_state", "other"},
    "result": {"made", "not_made", "reused", "retried"},
    "cause": {
        "pings_in_flight",
        "loop_lag",
        "own_time",
        "waited_too_long",
        "no_time_left",
        "posts_in_flight",
        "seller_rate",
        "connections",
        "journal_full",
        "postgres_away",
        "slow_client",
    },
    "phase": {"ask", "decide", "record"},
}
"""The closed lists that labels are from."""


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it): the rules were not checked")
    return subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)


def test_queries_name_only_what_there_is() -> None:
    known = samples()
    for place, text in all_queries():
        found = list(selectors(text))
        assert found or text.startswith("up{"), f"{place} asks for nothing of the exchange"
        for name, labels in found:
            if name in recorded():
                continue
            assert name in known, f"{place}: {name}"
            assert set(labels) <= {*known[name], *ADDED}, f"{place}: {name}"
            for label, asked in labels.items():
                if label in VALUES and not asked.startswith("$"):
                    assert set(asked.split("|")) <= VALUES[label], f"{place}: {label}={asked}"


def test_what_queries_group_by_is_a_label() -> None:
    known = {label for labels in samples().values() for label in labels}
    for place, text in all_queries():
        for group in re.findall(r"\bby \(([^)]*)\)", text):
            assert set(re.split(r",\s*", group)) <= {*known, *ADDED}, place


def test_every_metric_is_on_a_dashboard() -> None:
    recordings = {rule: text for rule, text in all_queries() if rule in recorded()}
    shown = [name for _, _, queries in panels() for text in queries for name, _ in selectors(text)]
    shown += [name for rule in shown if rule in recordings for name, _ in selectors(recordings[rule])]
    for table in metrics.ALL:
        assert any(name.startswith(table.name) for name in shown), table.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_only_metrics_that_there_are(page: Path) -> None:
    known = samples()
    families = {table.name for table in metrics.ALL}
    for name in re.findall(r"\bexchange_[a-z0-9_]+\b", " ".join(re.findall(r"`([^`]*)`", page.read_text()))):
        assert name in known or name in families, name


def test_alerts_are_explained() -> None:
    page = (ROOT / "docs/operate/watching.md").read_text()
    names = {rule["alert"] for group in read_yaml(RULES / "alerts.yml")["groups"] for rule in group["rules"]}
    for name in re.findall(r"`(Exchange[A-Z]\w+)…?`", page):
        assert any(alert.startswith(name) for alert in names), name
    for group in read_yaml(RULES / "alerts.yml")["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"page", "ticket"}
            assert set(rule["annotations"]) == {"summary", "description"}


def test_the_rules_are_sound(tmp_path: Path) -> None:
    done = promtool("check", "rules", str(RULES / "recording.yml"), str(RULES / "alerts.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    in_a_cluster = read_yaml(RULES / "kubernetes.yml")
    assert in_a_cluster["scrape_configs"][0].pop("kubernetes_sd_configs")  # Debian's promtool does not know them
    (tmp_path / "kubernetes.yml").write_text(yaml.safe_dump(in_a_cluster | {"rule_files": []}))
    for path in (RULES / "prometheus.yml", tmp_path / "kubernetes.yml"):
        done = promtool("check", "config", "--syntax-only", str(path))
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_do_what_their_tests_say() -> None:
    done = promtool("test", "rules", str(RULES / "rules_test.yml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_documents_give_a_gateway_the_time_that_it_may_take_to_stop() -> None:
    text = (ROOT / "docs" / "operate" / "running.md").read_text()
    takes_s = stops_within_s(settings.Settings())
    assert f"more than {takes_s:.0f}\nseconds before SIGKILL" in text
    assert [int(found) > takes_s for found in re.findall(r"--stop-timeout (\d+)", text)] == [True]


def test_the_compose_file_speaks_of_what_there_is() -> None:
    compose = read_yaml(DEPLOY / "compose.yaml")
    services = compose["services"]
    known = {f"{settings.PREFIX}{name.upper()}" for name in settings.Settings.model_fields}
    assert set(services) == {"exchange", "migrate", "postgres", "valkey", "prometheus", "grafana"}
    for name in ("exchange", "migrate"):
        assert set(services[name]["environment"]) <= known
        assert services[name]["environment"].keys() >= {"EXCHANGE_POSTGRES_URL", "EXCHANGE_MASTER_KEY"}
        program, word, *options = services[name]["command"]
        assert program == "exchange"  # which the image does not put before what it is to run
        command = get_command(app).commands[word]  # type: ignore[attr-defined]  # typer's root command is a group
        there = {option for parameter in command.params for option in parameter.opts}
        assert {option for option in options if option.startswith("--")} <= there
    notice_s = float(services["exchange"]["environment"]["EXCHANGE_STOP_NOTICE_S"])
    takes_s = stops_within_s(settings.Settings(stop_notice_s=notice_s))
    assert int(services["exchange"]["stop_grace_period"].rstrip("s")) > takes_s
    assert not re.search("^ENTRYPOINT", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for service in services.values():
        assert set(service.get("depends_on", ())) <= set(services)
        for volume in service.get("volumes", ()):
            source, target, *_ = volume.split(":")
            assert target.startswith("/")
            assert (DEPLOY / source).is_dir() if source.startswith(".") else source in compose["volumes"]


def test_the_containers_find_one_another() -> None:
    services = read_yaml(DEPLOY / "compose.yaml")["services"]
    [scrape] = read_yaml(RULES / "prometheus.yml")["scrape_configs"]
    [target] = scrape["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    assert host in services
    assert services[host]["command"][services[host]["command"].index("--port") + 1] == port
    provisioning = DEPLOY / "grafana/provisioning"
    [source] = read_yaml(provisioning / "datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = read_yaml(provisioning / "dashboards/exchange.yml")["providers"]
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in services["grafana"]["volumes"]}
    assert (DEPLOY / mounted[provider["options"]["path"]]).resolve() == DASHBOARDS[0].parent


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_dashboard_has_a_picture_in_the_documentation(path: Path) -> None:
    picture = ROOT / f"docs/operate/pictures/{path.stem}.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size <= 300 * 1024
    assert f"](pictures/{path.stem}.png)" in (ROOT / "docs/operate/watching.md").read_text()
