"""Who may read figures: peers on loopback or a private network, and whoever has the token."""

import hmac
import ipaddress


class Readers:
    """`token` is that of EXCHANGE_METRICS_TOKEN, or None."""

    def __init__(self, token: str | None) -> None:
        self._token = token or None  # an empty one, as a variable without a value is, opens nothing

    def admit(self, peer: str, authorization: str) -> bool:
        """Whether a peer, by its address and what it sent as `Authorization`, may read."""
        return _is_near(peer) or self._is_told(authorization)

    def _is_told(self, authorization: str) -> bool:
        return self._token is not None and hmac.compare_digest(authorization.encode(), f"Bearer {self._token}".encode())


def _is_near(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return address.is_loopback or address.is_private
