"""Small sealed things: opened only with their own key, purpose and place."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import refused

from vault.errors import IntegrityError
from vault.sealing.small import EVENT_PART, METADATA, open_small, seal_small

KEY, NONCE, PLACE = bytes(range(32)), bytes(12), b"nishinomiya\nrecord"
SEALED = seal_small(KEY, METADATA, PLACE, b"plain", nonce=NONCE)
nonces, keys = st.binary(min_size=12, max_size=12), st.binary(min_size=32, max_size=32)


@given(keys, st.sampled_from([METADATA, EVENT_PART]), st.binary(max_size=50), st.binary(max_size=300), nonces)
def test_what_was_sealed_opens(key: bytes, purpose: str, place: bytes, plaintext: bytes, nonce: bytes) -> None:
    sealed = seal_small(key, purpose, place, plaintext, nonce=nonce)
    assert open_small(key, purpose, place, sealed) == plaintext
    assert len(sealed) == 12 + len(plaintext) + 16


def test_the_layout_is_the_one_that_is_written_down() -> None:
    working_key = HKDFExpand(SHA256(), 32, b"kura/metadata/v1").derive(KEY)
    assert AESGCM(working_key).decrypt(SEALED[:12], SEALED[12:], PLACE) == b"plain"


@pytest.mark.parametrize("at", range(len(SEALED)))
def test_every_flipped_byte_is_found(at: int) -> None:
    with refused(IntegrityError, "sealed-part-altered"):
        open_small(KEY, METADATA, PLACE, SEALED[:at] + bytes([SEALED[at] ^ 1]) + SEALED[at + 1 :])


@pytest.mark.parametrize("length", range(len(SEALED)))
def test_every_cut_is_found(length: int) -> None:
    with refused(IntegrityError, "sealed-part-altered"):
        open_small(KEY, METADATA, PLACE, SEALED[:length])


WRONG = {
    "key": (bytes(32), METADATA, PLACE),
    "purpose": (KEY, EVENT_PART, PLACE),
    "place": (KEY, METADATA, b"nishinomiya\nother"),
    "no place": (KEY, METADATA, b""),
}


@pytest.mark.parametrize(("key", "purpose", "place"), WRONG.values(), ids=WRONG)
def test_it_opens_nowhere_else(key: bytes, purpose: str, place: bytes) -> None:
    with refused(IntegrityError, "sealed-part-altered"):
        open_small(key, purpose, place, SEALED)
