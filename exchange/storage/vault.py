"""The vault: seals leads under a key of their own, and turns them into fingerprints that say nothing by themselves."""

import hashlib
import hmac
import os
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.rules.duplicates import Hashes, content_of

KEY_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Sealed:
    """A lead under its own key, and that key under the master key. Without `key` the lead is gone."""

    lead: bytes
    key: bytes


class Vault:
    """Seals, opens and fingerprints with keys derived from one master key of 32 bytes."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError(f"the master key has {len(master_key)} bytes, not {KEY_BYTES}")
        self._wrapping = AESGCM(_derived(master_key, b"wrap lead keys"))
        self._fingerprinting = _derived(master_key, b"fingerprint leads")
        self._recognising = _derived(master_key, b"recognise people")

    def seal(self, post_id: UUID, lead: bytes) -> Sealed:
        """Seals a lead for one post: neither half opens for another."""
        key = AESGCM.generate_key(bit_length=256)
        return Sealed(_encrypt(AESGCM(key), lead, post_id), _encrypt(self._wrapping, key, post_id))

    def open(self, post_id: UUID, sealed: Sealed) -> bytes:
        """The lead of a post. Raises `cryptography.exceptions.InvalidTag` for anything that was tampered with."""
        key = _decrypt(self._wrapping, sealed.key, post_id)
        return _decrypt(AESGCM(key), sealed.lead, post_id)

    def fingerprint(self, content: bytes) -> bytes:
        """32 bytes that are equal for equal contents, and tell nothing to who lacks the master key."""
        return hmac.digest(self._fingerprinting, content, "sha256")

    def people(self, vertical: str, hashes: Hashes) -> tuple[bytes, ...]:
        """A person's fingerprints, one for each identity field. The hashes themselves are kept nowhere."""
        return tuple(
            hmac.digest(self._recognising, content_of(vertical, field, digest), "sha256")
            for field, digest in sorted(hashes.items())
        )


def _derived(master_key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(master_key, b"lead-exchange/1/" + purpose, hashlib.sha256)


def _encrypt(cipher: AESGCM, content: bytes, post_id: UUID) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, post_id.bytes)


def _decrypt(cipher: AESGCM, content: bytes, post_id: UUID) -> bytes:
    return cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], post_id.bytes)
