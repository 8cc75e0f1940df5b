"""Settings: the only reader of the environment. Each limit of the exchange has one, with its unit in the name."""

import base64
import binascii
import os
import secrets
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from exchange import server_urls
from exchange.errors import SettingsError

PREFIX = "EXCHANGE_"
MASTER_KEY_BYTES = 32
MASTER_KEY_FILE = "master.key"
_NEARLY = 0.85
"""How much alike a misspelt name is: what a cluster sets for a service of our name, such as EXCHANGE_PORT, is less."""


def _url(is_one: Callable[[str], bool], otherwise: str) -> AfterValidator:
    def check(url: str) -> str:
        if not is_one(url):
            raise PydanticCustomError("url", "{otherwise}", {"otherwise": otherwise})
        return url

    return AfterValidator(check)


PostgresUrl = Annotated[str, _url(server_urls.is_postgres, server_urls.POSTGRES)]
ValkeyUrl = Annotated[str, _url(server_urls.is_valkey, server_urls.VALKEY)]
HttpUrl = Annotated[str, _url(server_urls.is_http, server_urls.HTTP)]
Milliseconds = Annotated[int, Field(ge=1, le=60_000)]
Seconds = Annotated[float, Field(gt=0, le=3_600)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Percent = Annotated[int, Field(ge=1, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=1, le=3_650)]


class Settings(BaseSettings):
    """Everything that can be set, as EXCHANGE_<NAME> in the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    postgres_url: PostgresUrl | None = Field(
        None, description="PostgreSQL to use; without it one runs in the data directory"
    )
    valkey_url: ValkeyUrl | None = Field(None, description="Valkey to use; without it one runs in the data directory")
    data_dir: Path = Field(Path(".exchange"), description="where the embedded servers and the key file live")
    master_key: SecretStr | None = Field(
        None, description="32 bytes in base64 that seal leads; without it a key file in the data directory"
    )
    metrics_token: SecretStr | None = Field(
        None, description="bearer that opens /metrics to peers that are not private"
    )
    ca_file: Path | None = Field(
        None, description="PEM file of authorities that are trusted besides the usual ones, such as your company's own"
    )
    allow_private_addresses: bool = Field(False, description="buyers may be on loopback and private networks")
    worker_metrics_port: Annotated[int, Field(ge=1, le=65_535)] | None = Field(
        None, description="port where the worker answers /metrics and /livez"
    )
    worker_metrics_host: str = Field("127.0.0.1", description="the address where it does")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error")
    log_style: str = Field("json", pattern="^(json|console)$", description="json, or console for people")
    log_pings_share: Share = Field(0.01, description="share of the pings that get a log line, from 0 to 1")
    otlp_endpoint: HttpUrl | None = Field(
        None, description="OpenTelemetry collector that takes spans over HTTP, such as http://127.0.0.1:4318"
    )
    trace_share: Share = Field(0.01, description="share of the requests whose spans are sent there, from 0 to 1")
    trace_spans_max: Count = Field(5_000, description="spans that may wait to be sent in one process; more are dropped")
    postgres_connections_max: Count = Field(10, description="connections to PostgreSQL of one process")
    postgres_timeout_s: Seconds = Field(3.0, description="longest wait for PostgreSQL before a request is refused")
    journal_rows_max: Count = Field(10_000, description="pings that may wait for their commit in one process")
    receive_timeout_s: Seconds = Field(5.0, description="time in which a request must have been received")
    pings_in_flight_max: Count = Field(1_000, description="pings under way in one process; more have to wait")
    pings_in_hand_min: Count = Field(20, description="of these, so many may always be in hand: not waiting for buyers")
    ping_lag_target_ms: Milliseconds = Field(3, description="usual lag of the loop above which fewer may be in hand")
    ping_own_target_ms: Milliseconds = Field(100, description="mean time of a ping in hand above which fewer may be")
    ping_wait_max_ms: Milliseconds = Field(
        300, description="longest wait to be let in; who cannot be is refused at once"
    )
    posts_in_flight_max: Count = Field(2_000, description="posts under way in one process; more are refused at once")
    seller_rate_per_s: Count | None = Field(
        None, description="requests a second of a seller for whom the market says none"
    )
    seller_rate_burst: Count = Field(1_000, description="how many of them may come at once after a pause")
    connections_max: Count = Field(10_000, description="sellers' connections to one process; more are closed at once")
    connections_per_address_max: Count | None = Field(None, description="of these, from one address")
    warm_connections: Count = Field(2, description="connections made to each buyer before the first ping")
    warm_timeout_s: Seconds = Field(2.0, description="longest wait at the start for those connections")
    ping_finish_ms: Milliseconds = Field(25, description="kept back of a ping's time for deciding and recording")
    ping_ask_min_ms: Milliseconds = Field(20, description="least time that is worth asking a buyer with")
    post_attempt_min_ms: Milliseconds = Field(500, description="least time that must remain for a further attempt")
    post_finish_ms: Milliseconds = Field(100, description="kept back of a post's time for recording the answer")
    breaker_shadow: bool = Field(False, description="breakers only say what they would do, unless the market says more")
    breaker_percent: Percent = Field(80, description="of 100 calls so many must fail to open an endpoint's breaker")
    breaker_calls: Count = Field(100, description="pings in the window below which no breaker opens")
    breaker_post_calls: Count = Field(20, description="posts in the window below which no breaker opens")
    breaker_window_s: Seconds = Field(30.0, description="time in which failed pings count together")
    breaker_post_window_s: Seconds = Field(600.0, description="time in which failed posts count together")
    breaker_rest_s: Seconds = Field(5.0, description="first rest of an endpoint that fails; each is twice as long")
    breaker_rest_longest_s: Seconds = Field(300.0, description="longest such rest")
    breaker_probes: Percent = Field(5, description="of 100 pings, so many try an endpoint again after its rest")
    breaker_pause_after_s: Annotated[int, Field(ge=60, le=2_592_000)] = Field(
        21_600, description="after so long without getting well an endpoint is paused until an operator resets it"
    )
    retry_after_longest_s: Seconds = Field(60.0, description="longest rest that a buyer's Retry-After (429) brings")
    resolve_first_s: Seconds = Field(10.0, description="pause before a buyer is asked again what became of an attempt")
    resolve_longest_s: Seconds = Field(3_600.0, description="longest pause; each is twice the one before")
    resolve_tries_max: Count = Field(100, description="how often a buyer is asked about one attempt")
    resolve_at_once_max: Count = Field(20, description="attempts that one worker asks about at a time")
    outbox_first_s: Seconds = Field(10.0, description="pause before what could not be sent is sent again")
    outbox_longest_s: Seconds = Field(3_600.0, description="longest such pause; each is twice the one before")
    outbox_tries_max: Count = Field(40, description="how often something is sent before it is given up")
    outbox_at_once_max: Count = Field(50, description="deliveries of the outbox that one worker sends at a time")
    outbox_each_max: Count = Field(10, description="of these, to one receiver")
    outbox_done_days: Days = Field(14, description="how long it is kept what was sent from the outbox")
    outbox_dead_days: Days = Field(90, description="how long it is kept what was given up")
    notices_every_s: Seconds = Field(60.0, description="how often buyers' notices of lost bids are made")
    notices_bids_max: Count = Field(500, description="lost bids in one notice")
    notices_waiting_max: Count = Field(
        1_000, description="notices of lost bids that wait for one buyer; what comes then is dropped"
    )
    notices_age_s: Annotated[int, Field(ge=60, le=2_592_000)] = Field(
        86_400, description="after so long lost bids that could not be told are not told any more"
    )
    queue_longest_s: Seconds = Field(3_600.0, description="longest pause before a queued lead is offered again")
    queue_at_once_max: Count = Field(20, description="queued leads that one worker offers at a time")
    queue_done_days: Days = Field(90, description="how long it is kept what became of queued leads that were not sold")
    smtp_url: SecretStr | None = Field(None, description="mail server for deliveries by e-mail")
    smtp_from: str | None = Field(None, description="address that deliveries by e-mail come from")
    stop_notice_s: Annotated[float, Field(ge=0, le=300)] = Field(
        0.0, description="how long requests are still taken at shutdown, while the gateway is no longer ready"
    )
    drain_timeout_s: Seconds = Field(125.0, description="longest wait at shutdown for posts under way")


def load() -> Settings:
    """The settings of this process. Raises SettingsError naming every variable that cannot be read."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{PREFIX}{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise SettingsError(wrong) from None


def misspelt() -> dict[str, str]:
    """Variables of the environment that nothing reads but whose names are nearly a setting's, and that name."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    strange = sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)
    nearest = {name: get_close_matches(name.upper(), known, 1, _NEARLY) for name in strange}
    return {name: found[0] for name, found in nearest.items() if found}


def secret_environment() -> Mapping[str, str]:
    """The environment that `${env:NAME}` references of a market file are resolved in."""
    return os.environ


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process of ours, with some variables set."""
    return dict(os.environ) | dict(changes)


def master_key(settings: Settings) -> bytes:
    """The key that seals leads: from the environment, else from a file that is made on first use.

    Raises SettingsError where either cannot be used.
    """
    if settings.master_key is not None:
        return _decoded(settings.master_key.get_secret_value(), f"{PREFIX}MASTER_KEY")
    path = settings.data_dir / MASTER_KEY_FILE
    try:
        if not path.exists():
            _make_key_file(path)
        text = path.read_text()
    except OSError as error:
        raise SettingsError(f"{PREFIX}DATA_DIR: {path} cannot be read or made: {error.strerror}") from error
    return _decoded(text, str(path))


def _make_key_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # whole or not at all, and never over another process's key
    except FileExistsError:
        pass  # made before, by us or by a process that started beside us
    finally:
        draft.unlink()


def _decoded(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=False)
    except binascii.Error:
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise SettingsError(f"{source}: not {MASTER_KEY_BYTES} bytes in base64")
    return key
