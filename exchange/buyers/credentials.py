"""How a buyer knows us: the headers that an endpoint's `auth` adds to every request."""

import base64
import time
from collections.abc import Sequence
from uuid import UUID

from exchange.rules.signing import signature_headers
from exchange.values.market import Auth, AuthKind


def auth_headers(auth: Auth, secret: str) -> dict[str, str]:
    """The headers of an endpoint's auth; `secret` is the resolved one."""
    match auth.kind:
        case AuthKind.NONE:
            return {}
        case AuthKind.BEARER:
            return {"Authorization": f"Bearer {secret}"}
        case AuthKind.BASIC:
            return {"Authorization": "Basic " + base64.b64encode(f"{auth.name}:{secret}".encode()).decode()}
        case AuthKind.HEADER:
            return {auth.name: secret}


def signed(identifier: UUID, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The headers that sign a request now; none without keys."""
    return signature_headers(str(identifier), int(time.time()), body, keys) if keys else {}
