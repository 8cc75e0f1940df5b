"""Settings whose names are misspelt: nothing reads them, so whoever set them is told."""

import pytest

from exchange.settings import misspelt


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
