"""The vault: a lead opens for its own post and its own master key only, and a fingerprint says nothing by itself."""

import hashlib
from uuid import UUID

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from exchange.storage.vault import KEY_BYTES, Sealed, Vault
from exchange.values.ids import uuid7

VAULT = Vault(b"k" * KEY_BYTES)
POST = UUID("0196f3c0-0000-7000-8000-000000000001")
LEAD = b'{"phone": "+13125550123", "email": "ann.canary@example.com"}'


@given(st.binary(max_size=500), st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES))
def test_what_was_sealed_opens_again(lead: bytes, master_key: bytes) -> None:
    sealed = Vault(master_key).seal(POST, lead)
    assert Vault(master_key).open(POST, sealed) == lead


def test_nothing_of_a_lead_shows_through_the_seal() -> None:
    sealed = VAULT.seal(POST, LEAD)
    for part in (b"phone", b"+1312", b"ann.canary", b"example"):
        assert part not in sealed.lead + sealed.key


def test_a_lead_opens_for_its_own_post_only() -> None:
    sealed = VAULT.seal(POST, LEAD)
    with pytest.raises(InvalidTag):
        VAULT.open(uuid7(), sealed)


def test_a_lead_opens_with_its_own_key_only() -> None:
    one, other = VAULT.seal(POST, LEAD), VAULT.seal(POST, LEAD)
    with pytest.raises(InvalidTag):
        VAULT.open(POST, Sealed(one.lead, other.key))
    with pytest.raises(InvalidTag):
        Vault(b"x" * KEY_BYTES).open(POST, one)


@given(st.data())
def test_a_change_of_any_bit_is_noticed(data: st.DataObject) -> None:
    sealed = VAULT.seal(POST, LEAD)
    part = data.draw(st.sampled_from(["lead", "key"]))
    content = bytearray(getattr(sealed, part))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = Sealed(bytes(content), sealed.key) if part == "lead" else Sealed(sealed.lead, bytes(content))
    with pytest.raises(InvalidTag):
        VAULT.open(POST, changed)


def test_the_same_lead_is_sealed_differently_each_time() -> None:
    sealed = [VAULT.seal(POST, LEAD) for _ in range(100)]
    assert len({item.lead for item in sealed}) == len({item.key for item in sealed}) == 100


@given(st.binary(max_size=100), st.binary(max_size=100))
def test_fingerprints_are_equal_for_equal_contents_only(one: bytes, other: bytes) -> None:
    assert (VAULT.fingerprint(one) == VAULT.fingerprint(other)) == (one == other)
    assert len(VAULT.fingerprint(one)) == 32


def test_a_fingerprint_cannot_be_made_without_the_master_key() -> None:
    found = VAULT.fingerprint(LEAD)
    assert found == Vault(b"k" * KEY_BYTES).fingerprint(LEAD)
    assert found != Vault(b"x" * KEY_BYTES).fingerprint(LEAD)
    assert found not in {hashlib.sha256(LEAD).digest(), hashlib.sha256(b"k" * KEY_BYTES + LEAD).digest()}


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_master_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32"):
        Vault(b"k" * length)
