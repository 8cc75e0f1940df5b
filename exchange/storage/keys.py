"""API keys: random secrets of which only a hash is kept, looked up by their public half."""

import hashlib
import hmac
import re
import secrets
import string
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from exchange.storage.database import Database

PREFIX = "lx"
KNOWN_FOR_S = 2.0
"""How long a looked-up key is believed: a revoked one ends everywhere within this, well under the five seconds due."""
KNOWN_MAX = 10_000
READ_TIMEOUT_S = 1.0

_ALPHABET = string.ascii_letters + string.digits
_KEY = re.compile(rf"{PREFIX}_([A-Za-z0-9]{{12}})_([A-Za-z0-9]{{32}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whom a key speaks for: a seller, or an operator (then `seller` is None)."""

    key_id: str
    role: str
    seller: str | None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A stored key, as an operator sees it."""

    key_id: str
    role: str
    seller: str | None
    created_at: datetime
    revoked_at: datetime | None


async def create(database: Database, *, role: str, seller: str | None) -> str:
    """Makes a key and returns it; it cannot be read again."""
    key_id, secret = _random(12), _random(32)
    await database.run(
        lambda connection: connection.execute(
            "insert into api_keys (key_id, secret_sha256, role, seller) values ($1, $2, $3, $4)",
            key_id,
            _hash(secret),
            role,
            seller,
        )
    )
    return f"{PREFIX}_{key_id}_{secret}"


async def list_all(database: Database) -> list[KeyRecord]:
    """All keys, oldest first, revoked ones included."""
    rows = await database.run(
        lambda connection: connection.fetch(
            "select key_id, role, seller, created_at, revoked_at from api_keys order by created_at, key_id"
        )
    )
    return [KeyRecord(*row.values()) for row in rows]


async def revoke(database: Database, key_id: str) -> bool:
    """Ends a key; False where there is none that lives. A whole key is taken for its public half."""
    match = _KEY.fullmatch(key_id)
    done = await database.run(
        lambda connection: connection.fetchval(
            "update api_keys set revoked_at = now() where key_id = $1 and revoked_at is null returning key_id",
            match[1] if match else key_id,
        )
    )
    return done is not None


class KeyRing:
    """Looks keys up, and believes what it found for a short while."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[str, tuple[float, KeyHolder | None]] = OrderedDict()

    def seller_seen(self, key: str, now_s: float) -> tuple[str | None, bool]:
        """The seller for whom a key spoke when it was looked up last, if it was; and whether that is still believed."""
        known = self._known.get(key)
        if known is None or known[1] is None:
            return None, False
        return known[1].seller, known[0] > now_s

    async def holder(self, key: str) -> KeyHolder | None:
        """Whom `key` speaks for, or None for a key that does not exist or no longer holds."""
        known = self._known.get(key)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        match = _KEY.fullmatch(key)
        if match is None:
            return None
        found = await self._read(match[1], match[2])
        self._known[key] = (time.monotonic() + KNOWN_FOR_S, found)
        self._known.move_to_end(key)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return found

    async def _read(self, key_id: str, secret: str) -> KeyHolder | None:
        row = await self._database.look(
            lambda connection: connection.fetchrow(
                "select secret_sha256, role, seller from api_keys where key_id = $1 and revoked_at is null", key_id
            ),
            timeout_s=READ_TIMEOUT_S,
        )
        if row is None or not hmac.compare_digest(row["secret_sha256"], _hash(secret)):
            return None
        return KeyHolder(key_id, row["role"], row["seller"])


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
