"""What the URL of a server looks like: checked before a library reads it, whose complaint may quote a password."""

from urllib.parse import urlsplit

POSTGRES = (
    "must be like postgresql://user:password@host:5432/database, with %XX for other signs than letters and digits"
)
VALKEY = "must be like valkey://user:password@host:6379, with %XX for other signs than letters and digits"

HTTP = "must be like http://127.0.0.1:4318"

_POSTGRES_SCHEMES = frozenset({"postgresql", "postgres"})
_VALKEY_SCHEMES = frozenset({"valkey", "valkeys", "valkey+cluster", "valkeys+cluster", "redis", "rediss", "unix"})
_HTTP_SCHEMES = frozenset({"http", "https"})
_CLUSTER = "+cluster"


def is_postgres(url: str) -> bool:
    """Whether PostgreSQL can be looked for at a URL: one host, several, or a socket's folder."""
    hosts = _hosts(url, _POSTGRES_SCHEMES)
    return hosts is not None and all(map(_is_host, hosts))


def is_valkey(url: str) -> bool:
    """Whether Valkey can be looked for at a URL: one host, several nodes of a cluster, or a socket."""
    hosts = _hosts(url, _VALKEY_SCHEMES)
    if hosts is None or not all(map(_is_host, hosts)):
        return False
    is_cluster = urlsplit(url).scheme.endswith(_CLUSTER)
    return all(hosts) if is_cluster else len(hosts) == 1


def is_http(url: str) -> bool:
    """Whether something can be sent over HTTP to a URL."""
    hosts = _hosts(url, _HTTP_SCHEMES)
    return hosts is not None and len(hosts) == 1 and bool(hosts[0]) and _is_host(hosts[0])


def _hosts(url: str, schemes: frozenset[str]) -> list[str] | None:
    """The hosts with their ports, one of them empty where none is named; None for what is no such URL."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in schemes or "://" not in url or parts.fragment:
        return None
    return parts.netloc.rpartition("@")[2].split(",")


def _is_host(text: str) -> bool:
    name, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return True
    return (":" not in name or name.endswith("]")) and (
        not port or (port.isascii() and port.isdigit() and int(port) < 65_536)
    )
