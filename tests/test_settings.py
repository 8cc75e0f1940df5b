"""Settings that are misspelt, in their names or in what they say: whoever set them is told, and no secret is shown."""

from pathlib import Path

import pytest

from exchange.errors import SettingsError
from exchange.settings import Settings, load, master_key, misspelt


def test_a_name_that_is_nearly_a_settings_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EXCHANGE_PINGS_IN_FLIGHT", "EXCHANGE_ALLOW_PRIVATE_ADRESSES", "exchange_data_dirs"):
        monkeypatch.setenv(name, "1")
    assert misspelt() == {
        "EXCHANGE_PINGS_IN_FLIGHT": "EXCHANGE_PINGS_IN_FLIGHT_MAX",
        "EXCHANGE_ALLOW_PRIVATE_ADRESSES": "EXCHANGE_ALLOW_PRIVATE_ADDRESSES",
        "exchange_data_dirs": "EXCHANGE_DATA_DIR",
    }


@pytest.mark.parametrize(
    "name", ["EXCHANGE_DATA_DIR", "exchange_log_level", "EXCHANGE_PORT", "EXCHANGE_SERVICE_HOST", "NORTHWIND_KEY"]
)
def test_settings_and_what_is_something_else_are_not(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    assert name not in misspelt()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXCHANGE_POSTGRES_URL", "nonsense"),
        ("EXCHANGE_POSTGRES_URL", "mysql://user:hush@host/x"),
        ("EXCHANGE_POSTGRES_URL", "postgresql://user:hush#hush@host/x"),
        ("EXCHANGE_POSTGRES_URL", "postgresql://user:hush/hush@host/x"),
        ("EXCHANGE_POSTGRES_URL", "postgresql://user:1/hush?hush@host/x#hush"),
        ("EXCHANGE_POSTGRES_URL", "postgresql://user:hush@host:5432,other:hush/x"),
        ("EXCHANGE_POSTGRES_URL", "postgresql://user:hush@[::1/x"),
        ("EXCHANGE_VALKEY_URL", "nonsense"),
        ("EXCHANGE_VALKEY_URL", "http://host:6379"),
        ("EXCHANGE_VALKEY_URL", "redis://user:hush/hush@host:6379"),
        ("EXCHANGE_VALKEY_URL", "redis://one:6379,two:6379"),
        ("EXCHANGE_VALKEY_URL", "valkey+cluster://"),
        ("EXCHANGE_VALKEY_URL", "valkey+cluster://one:two:three"),
        ("EXCHANGE_VALKEY_URL", "redis://host:66666"),
        ("EXCHANGE_OTLP_ENDPOINT", "nonsense"),
        ("EXCHANGE_OTLP_ENDPOINT", "localhost:4318"),
        ("EXCHANGE_OTLP_ENDPOINT", "http://"),
        ("EXCHANGE_OTLP_ENDPOINT", "http://user:hush/@host:4318"),
    ],
)
def test_a_url_that_is_none_is_told_and_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}: must be like ") as told:
        load()
    assert "hush" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("postgres_url", "postgresql://user:pa%23ss@host:5432/exchange?sslmode=require"),
        ("postgres_url", "postgres://one:5432,two:5433,[::1]:5434/exchange"),
        ("postgres_url", "postgresql://postgres@/exchange?host=/var/run/postgresql"),
        ("postgres_url", "postgresql:///exchange?host=one,two&port=5432,5433"),
        ("valkey_url", "valkeys://user:password@host:6379/0"),
        ("valkey_url", "redis://[::1]:6379"),
        ("valkey_url", "unix:///run/valkey.sock?db=0"),
        ("valkey_url", "valkey+cluster://user:password@one:6379,two"),
        ("otlp_endpoint", "https://collector/otlp"),
    ],
)
def test_urls_of_every_kind_are_taken(name: str, value: str) -> None:
    assert getattr(Settings(**{name: value}), name) == value  # type: ignore[arg-type]  # one of the two


@pytest.mark.parametrize("place", ["/proc/nowhere", __file__])
def test_a_data_directory_that_cannot_be_is_told(place: str) -> None:
    with pytest.raises(SettingsError, match=r"^EXCHANGE_DATA_DIR: "):
        master_key(Settings(data_dir=Path(place)))
