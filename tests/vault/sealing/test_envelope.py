"""Envelopes: HPKE that an independent transcription of RFC 9180 opens, and nothing that was altered or misplaced."""

import os

import pytest
import rfc9180
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding
from ledger_vectors import refused

from vault.errors import IntegrityError
from vault.sealing.envelope import Envelope

PRIVATE = X25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
ENVELOPE = Envelope("e" * 32, "b" * 32, bytes(range(100, 132)))
SEALED = ENVELOPE.seal(PUBLIC)
WRAPPED = ENVELOPE.wrap(bytes(32))


def test_what_was_sealed_opens_for_the_bucket() -> None:
    assert Envelope.open(ENVELOPE.id, ENVELOPE.bucket_id, SEALED, PRIVATE) == ENVELOPE
    assert len(SEALED) == 80


def test_an_independent_implementation_of_the_standard_opens_it() -> None:
    info = b"kura/envelope/v1\n" + b"b" * 32 + b"\n" + b"e" * 32 + b"\n"
    assert rfc9180.open_base(SEALED, PRIVATE, info) == ENVELOPE.key


def test_sealing_twice_gives_nothing_in_common() -> None:
    again = ENVELOPE.seal(PUBLIC)
    assert again[:32] != SEALED[:32]
    assert again[32:] != SEALED[32:]


@pytest.mark.parametrize("at", range(80))
def test_every_flipped_byte_is_found(at: int) -> None:
    # The highest bit of an X25519 public half is ignored by RFC 7748, but HPKE binds the encapsulated key's bytes.
    for bit in (0x01, 0x80):
        altered = SEALED[:at] + bytes([SEALED[at] ^ bit]) + SEALED[at + 1 :]
        with refused(IntegrityError, "envelope-altered"):
            Envelope.open(ENVELOPE.id, ENVELOPE.bucket_id, altered, PRIVATE)


MISPLACED = {
    "another bucket": ("e" * 32, "c" * 32),
    "another envelope": ("f" * 32, "b" * 32),
    "ids exchanged": ("b" * 32, "e" * 32),
    "ids run together": ("", "b" * 32 + "\n" + "e" * 32),
}


@pytest.mark.parametrize(("envelope_id", "bucket_id"), MISPLACED.values(), ids=MISPLACED)
def test_an_envelope_in_anothers_place_never_opens(envelope_id: str, bucket_id: str) -> None:
    with refused(IntegrityError, "envelope-altered"):
        Envelope.open(envelope_id, bucket_id, SEALED, PRIVATE)


OTHER_SEALED = {
    **{f"cut to {length}": SEALED[:length] for length in (0, 31, 32, 47, 79)},
    "longer": SEALED + b"\0",
    "zeros": bytes(80),
}


@pytest.mark.parametrize("sealed", OTHER_SEALED.values(), ids=OTHER_SEALED)
def test_another_length_or_zeros_are_refused(sealed: bytes) -> None:
    with refused(IntegrityError, "envelope-altered"):
        Envelope.open(ENVELOPE.id, ENVELOPE.bucket_id, sealed, PRIVATE)


def test_another_buckets_private_half_does_not_open_it() -> None:
    with refused(IntegrityError, "envelope-altered"):
        Envelope.open(ENVELOPE.id, ENVELOPE.bucket_id, SEALED, X25519PrivateKey.generate())


def test_data_keys_are_wrapped_by_the_standard() -> None:
    data_key = os.urandom(32)
    wrapped = ENVELOPE.wrap(data_key)
    assert (len(wrapped), ENVELOPE.unwrap(wrapped)) == (40, data_key)
    assert aes_key_unwrap_with_padding(ENVELOPE.key, wrapped) == data_key


@pytest.mark.parametrize("at", range(40))
def test_a_wrap_with_a_flipped_byte_is_refused(at: int) -> None:
    with refused(IntegrityError, "data-key-altered"):
        ENVELOPE.unwrap(WRAPPED[:at] + bytes([WRAPPED[at] ^ 1]) + WRAPPED[at + 1 :])


@pytest.mark.parametrize("length", [0, 8, 32, 39, 48])
def test_a_wrap_of_another_length_is_refused(length: int) -> None:
    with refused(IntegrityError, "data-key-altered"):
        ENVELOPE.unwrap((WRAPPED + bytes(8))[:length])


def test_a_wrap_of_another_envelope_is_refused() -> None:
    with refused(IntegrityError, "data-key-altered"):
        Envelope("e" * 32, "b" * 32, os.urandom(32)).unwrap(WRAPPED)
