"""The manifests for Kubernetes: they refer to one another, name settings that exist, and give a gateway time to end."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from exchange.commands.serving import stops_within_s
from exchange.readiness import ANSWER_S
from exchange.settings import PREFIX, Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
SECRETS = {"EXCHANGE_POSTGRES_URL", "EXCHANGE_VALKEY_URL", "EXCHANGE_MASTER_KEY", "EXCHANGE_METRICS_TOKEN"}
Manifest = dict[str, Any]


def manifests() -> list[Manifest]:
    files = sorted(FOLDER.glob("*.yaml"))
    return list(chain.from_iterable(yaml.safe_load_all(file.read_text()) for file in files))


def of(kind: str) -> dict[str, Manifest]:
    return {item["metadata"]["name"]: item for item in manifests() if item["kind"] == kind}


def pods() -> dict[str, Manifest]:
    """The templates of pods, by the name of what makes them."""
    return {name: item["spec"]["template"] for kind in ("Deployment", "Job") for name, item in of(kind).items()}


def container(name: str) -> Manifest:
    (found,) = pods()[name]["spec"]["containers"]
    return dict(found)


def settings() -> dict[str, str]:
    return dict(of("ConfigMap")["exchange"]["data"])


def test_everything_is_in_the_one_namespace() -> None:
    (namespace,) = of("Namespace")
    assert {item["metadata"].get("namespace", namespace) for item in manifests()} == {namespace}
    names = [(item["kind"], item["metadata"]["name"]) for item in manifests()]
    assert len(set(names)) == len(names)


def test_settings_that_are_named_exist_and_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    assert settings().keys() | SECRETS <= known
    assert not settings().keys() & SECRETS
    text = (FOLDER / "settings.yaml").read_text()
    assert [name for name in SECRETS if name not in text] == []
    for name, value in settings().items():
        monkeypatch.setenv(name, value)
    assert Settings().log_level == "info"


@pytest.mark.parametrize("name", sorted(pods()))
def test_a_pod_takes_its_settings_and_secrets_by_reference(name: str) -> None:
    sources = container(name)["envFrom"]
    assert sources == [{"configMapRef": {"name": "exchange"}}, {"secretRef": {"name": "exchange"}}]
    assert "env" not in container(name)
    assert of("Secret") == {}


@pytest.mark.parametrize("name", sorted(pods()))
def test_a_pod_may_do_nothing_but_run(name: str) -> None:
    spec, own = pods()[name]["spec"], container(name)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert f"--uid {spec['securityContext']['runAsUser']} exchange" in (FOLDER.parents[1] / "Dockerfile").read_text()
    assert own["securityContext"]["readOnlyRootFilesystem"] is True
    assert own["securityContext"]["allowPrivilegeEscalation"] is False
    assert own["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "cpu" not in own["resources"]["limits"]
    assert own["resources"]["limits"].keys() == {"memory"}
    mounts = {mount["name"]: mount["mountPath"] for mount in own["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in spec["volumes"]}
    assert settings()["EXCHANGE_DATA_DIR"].startswith(mounts["tmp"])


@pytest.mark.parametrize("name", ["exchange-gateway", "exchange-worker"])
def test_a_pod_has_more_time_to_end_than_it_takes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in settings().items():
        monkeypatch.setenv(key, value)
    assert pods()[name]["spec"]["terminationGracePeriodSeconds"] > stops_within_s(Settings())


def test_a_probe_has_more_patience_than_a_gateway_with_a_silent_postgres() -> None:
    assert container("exchange-gateway")["readinessProbe"]["timeoutSeconds"] >= 2 * ANSWER_S


def test_a_gateway_that_is_not_ready_is_left_out_before_it_stops_taking_requests() -> None:
    probe = container("exchange-gateway")["readinessProbe"]
    assert probe["httpGet"]["path"] == "/readyz"
    unnoticed_s = probe["failureThreshold"] * (probe["periodSeconds"] + probe["timeoutSeconds"])
    assert float(settings()["EXCHANGE_STOP_NOTICE_S"]) > unnoticed_s
    assert container("exchange-gateway")["livenessProbe"]["httpGet"]["path"] == "/livez"


def test_what_selects_pods_finds_them() -> None:
    labels = [pod["metadata"]["labels"] for pod in pods().values()]
    selectors = [item["spec"]["selector"] for item in of("Service").values()]
    for kind in ("Deployment", "PodDisruptionBudget"):
        selectors += [item["spec"]["selector"]["matchLabels"] for item in of(kind).values()]
    selectors += [item["spec"]["podSelector"]["matchLabels"] for item in of("NetworkPolicy").values()]
    for selector in selectors:
        assert any(selector.items() <= found.items() for found in labels), selector


def test_what_names_another_names_one_that_is_there() -> None:
    for scaler in of("HorizontalPodAutoscaler").values():
        target = scaler["spec"]["scaleTargetRef"]
        assert target["name"] in of(target["kind"])
        assert scaler["spec"]["minReplicas"] == of("Deployment")[target["name"]]["spec"]["replicas"]
    ports = {port["name"]: port["containerPort"] for port in container("exchange-gateway")["ports"]}
    for service in of("Service").values():
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports.keys()
    opened = of("NetworkPolicy")["exchange-gateway"]["spec"]["ingress"][0]["ports"]
    assert {port["port"] for port in opened} == set(ports.values())
    args = container("exchange-gateway")["args"]
    assert args[args.index("--port") + 1] == str(ports["http"])


def test_prometheus_reaches_gateways_and_workers() -> None:
    """What a worker alone knows wakes somebody: how long a lead's fate is unknown, and if the money is in order."""
    port = int(settings()["EXCHANGE_WORKER_METRICS_PORT"])
    assert settings()["EXCHANGE_WORKER_METRICS_HOST"] == "0.0.0.0"  # noqa: S104  # in a pod
    (opened,) = container("exchange-worker")["ports"]
    assert opened == {"name": "metrics", "containerPort": port}
    (let_in,) = of("NetworkPolicy")["exchange-worker"]["spec"]["ingress"]
    assert let_in == {"ports": [{"protocol": "TCP", "port": port}]}
    for probe in ("startupProbe", "livenessProbe"):
        assert container("exchange-worker")[probe]["httpGet"] == {"path": "/livez", "port": "metrics"}
    scrape = yaml.safe_load((FOLDER.parent / "prometheus/kubernetes.yml").read_text())
    assert scrape["rule_files"] == ["recording.yml", "alerts.yml"]
    (job,) = scrape["scrape_configs"]
    assert job["job_name"] == "exchange"
    keep = re.compile(job["relabel_configs"][0]["regex"])
    for name in ("exchange-gateway", "exchange-worker"):
        found = pods()[name]["metadata"]["labels"]["app.kubernetes.io/name"]
        assert all(keep.fullmatch(f"{found};{port['name']}") for port in container(name)["ports"])


def test_all_run_the_same_image() -> None:
    assert len({container(name)["image"] for name in pods()}) == 1
