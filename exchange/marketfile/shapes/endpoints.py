"""Where and how a buyer is asked and delivered to, in a market file."""

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, model_validator

from exchange.marketfile.limits import (
    BREAKER_CALLS,
    BREAKER_PERCENT,
    BREAKER_REST_S,
    BREAKER_WINDOW_S,
    IN_FLIGHT,
    KEEP_ALIVE_S,
    PAUSE_AFTER_S,
    PRESUME_DAYS,
    PROBES_PERCENT,
)
from exchange.marketfile.outside import (
    Url,
    UrlOrNone,
)
from exchange.marketfile.presets import MAPPED, NATIVE, PRESETS, with_preset
from exchange.marketfile.scalars import (
    Flag,
    choice,
    refuse,
    whole,
)
from exchange.marketfile.shapes.auth import AuthShape, read_auth
from exchange.marketfile.shapes.base import Given, Shape
from exchange.marketfile.shapes.deliveries import MeansShape, SigningShape
from exchange.marketfile.shapes.mapped import MappingShape
from exchange.marketfile.shapes.terms import PingTimeout, PostTimeout, RateShape
from exchange.values.market import Presumption

_WITHOUT_URL = frozenset({"webhook", "email", "sftp", "ftps", "post_timeout_ms", "unknown"})
"""What an endpoint can say that is not called at URLs of the buyer's own."""


class UnknownShape(Shape):
    """How an attempt that nobody answers counts, and when."""

    presume: Annotated[str, choice(*Presumption)]
    after_days: Annotated[int, whole(*PRESUME_DAYS)]


BreakerWindow = Annotated[int, whole(*BREAKER_WINDOW_S)]


BreakerCalls = Annotated[int, whole(*BREAKER_CALLS)]


class BreakerShape(Shape):
    """When an endpoint that fails is left alone, and when it is tried again."""

    enabled: Flag = True
    shadow: Given[Flag] = None
    percent: Given[Annotated[int, whole(*BREAKER_PERCENT)]] = None
    calls: Given[BreakerCalls] = None
    post_calls: Given[BreakerCalls] = None
    window_s: Given[BreakerWindow] = None
    post_window_s: Given[BreakerWindow] = None
    rest_s: Given[Annotated[int, whole(*BREAKER_REST_S)]] = None
    probes: Given[Annotated[int, whole(*PROBES_PERCENT)]] = None
    pause_after_s: Given[Annotated[int, whole(*PAUSE_AFTER_S)]] = None


class EndpointShape(MeansShape):
    """Where and how a buyer is asked and delivered to."""

    dialect: Annotated[str, choice(NATIVE, MAPPED, *PRESETS)] = NATIVE
    mapping: Given[MappingShape] = None
    ping_url: UrlOrNone = None
    post_url: Given[Url] = None
    status_url: UrlOrNone = None
    ping_timeout_ms: PingTimeout = 500
    post_timeout_ms: PostTimeout = 30_000
    keep_alive_s: Annotated[int, whole(*KEEP_ALIVE_S)] = 0
    idempotent_post: Flag = False
    unknown: UnknownShape | None = None
    auth: Annotated[AuthShape | None, BeforeValidator(read_auth)] = None
    signing: Given[SigningShape] = None
    breaker: Given[BreakerShape] = None
    rate: Given[RateShape] = None
    in_flight: Given[Annotated[int, whole(*IN_FLIGHT)]] = None

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, value: Any) -> Any:
        return with_preset(value)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.post_url is None and not self.count():
            raise refuse("has no post_url, and none of webhook, email, sftp and ftps instead")
        if self.count() > (self.post_url is None):
            raise refuse("must say one of post_url, webhook, email, sftp and ftps")
        if self.post_url is None and (wrong := sorted(self.model_fields_set - _WITHOUT_URL)):
            raise refuse(f"{wrong[0]} goes with a post_url only")
        if self.webhook is not None and self.webhook.auth is not None:
            raise refuse("webhook.auth is for what follows a sale: a webhook that decides one is signed, and no more")
        if any(part is not None and part.every_min is not None for part in (self.sftp, self.ftps)):
            raise refuse("every_min is for what follows a sale: what decides one is put down at once")
        return self

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.dialect == NATIVE and self.mapping is not None:
            raise refuse("mapping goes with another dialect than native")
        if self.dialect != NATIVE and self.mapping is None:
            raise refuse(f"mapping is missing: dialect {self.dialect} has fields of the buyer's own")
        if self.mapping is not None and (self.ping_url is None) is not (self.mapping.ping is None):
            raise refuse("ping_url and mapping.ping go together: give both, or none of them")
        if self.mapping is not None and self.mapping.status is not None and self.status_url is None:
            raise refuse("mapping.status goes with a status_url only")
        return self
