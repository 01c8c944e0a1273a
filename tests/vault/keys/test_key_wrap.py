"""AES-KWP against the values of RFC 5649, and that only whole blocks are wrapped."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)
from ledger_vectors import refused

from vault.errors import IntegrityError
from vault.keys.key_wrap import unwrap_key, wrap_key

KWP = json.loads((Path(__file__).parents[2] / "vectors" / "aes_kwp.json").read_text())


@pytest.mark.parametrize("vector", KWP["vectors"], ids=lambda v: v["name"])
def test_the_wrapping_is_rfc_5649(vector: dict[str, Any]) -> None:
    key, plain, wrapped = (bytes.fromhex(vector[name]) for name in ("kek_hex", "key_hex", "wrapped_hex"))
    assert aes_key_wrap_with_padding(key, plain) == wrapped
    assert aes_key_unwrap_with_padding(key, wrapped) == plain
    if len(plain) % 8 == 0:
        assert wrap_key(key, plain) == wrapped
        assert unwrap_key(key, wrapped, "") == plain
    else:
        with refused(IntegrityError, "wrapped-key-altered"):
            unwrap_key(key, wrapped, "")


def test_the_altered_vector_of_rfc_5649_is_refused() -> None:
    for vector in KWP["must_reject"]:
        with pytest.raises(InvalidUnwrap):
            aes_key_unwrap_with_padding(bytes.fromhex(vector["kek_hex"]), bytes.fromhex(vector["wrapped_hex"]))


@pytest.mark.parametrize("plaintext", [b"", b"x", bytes(7), bytes(9), bytes(33)])
def test_what_is_no_whole_blocks_is_not_wrapped(plaintext: bytes) -> None:
    with pytest.raises(ValueError, match=str(len(plaintext))):
        wrap_key(bytes(32), plaintext)
