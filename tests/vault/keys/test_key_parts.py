"""The parts of a key store come back from their bytes, and no other bytes pass."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import refused

from vault.errors import IntegrityError
from vault.keys.key_parts import OpeningPart, TakingPart

IDS = st.binary(min_size=16, max_size=16).map(bytes.hex)
KEYS = st.binary(min_size=32, max_size=32).map(bytearray)
INSTANTS = st.datetimes(timezones=st.just(UTC))


@given(st.dictionaries(IDS, KEYS, max_size=5), st.dictionaries(IDS, INSTANTS, max_size=5))
def test_an_opening_part_comes_back_from_its_bytes(keys: dict[str, bytearray], dead: dict[str, datetime]) -> None:
    part = OpeningPart(keys, dead)
    assert OpeningPart.decode(part.encode()) == part


def test_a_taking_part_comes_back_from_its_bytes() -> None:
    keys = {name * 32: Ed25519PrivateKey.generate() for name in "0af"}
    certificate_keys = {name * 32: generate_private_key(SECP256R1()) for name in "1b"}
    again = TakingPart.decode(TakingPart(keys, certificate_keys).encode())
    seeds = {key_id: key.private_bytes_raw() for key_id, key in keys.items()}
    assert {key_id: key.private_bytes_raw() for key_id, key in again.signing_keys.items()} == seeds
    values = {key_id: key.private_numbers() for key_id, key in certificate_keys.items()}
    assert {key_id: key.private_numbers() for key_id, key in again.certificate_keys.items()} == values


def test_a_file_from_before_there_were_certificate_keys_reads_and_is_written_alike() -> None:
    old = bytearray(b"\x00\x00\x00\x01" + b"\xab" * 16 + b"s" * 32)
    part = TakingPart.decode(bytearray(old))
    assert part.certificate_keys == {}
    assert part.encode() == old


@pytest.mark.parametrize("value", [0, 2**256 - 1], ids=["zero", "beyond the curve's order"])
def test_what_is_no_private_value_is_damage(value: int) -> None:
    one = b"\x00\x00\x00\x01" + b"\xab" * 16 + value.to_bytes(32, "big")
    with refused(IntegrityError, "key-file-damaged"):
        TakingPart.decode(bytearray(b"\x00\x00\x00\x00" + one))


def test_the_bytes_are_pinned_because_stored_files_depend_on_them() -> None:
    part = OpeningPart({"ab" * 16: bytearray(b"k" * 32)}, {"cd" * 16: datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)})
    assert part.encode() == (
        b"\x00\x00\x00\x01" + b"\xab" * 16 + b"k" * 32 + b"\x00\x00\x00\x01" + b"\xcd" * 16 + (10**6).to_bytes(8, "big")
    )


def test_a_tombstone_takes_the_key_s_place_and_says_utc() -> None:
    tokyo = timezone(timedelta(hours=9))
    part = OpeningPart({"ab" * 16: bytearray(32), "cd" * 16: bytearray(32)}, {})
    after = part.without_keys(["ab" * 16], datetime(2031, 4, 1, 9, tzinfo=tokyo))
    assert list(after.disposal_keys) == ["cd" * 16]
    assert after.tombstones == {"ab" * 16: datetime(2031, 4, 1, tzinfo=UTC)}
    assert after.tombstones["ab" * 16].tzinfo is UTC


@pytest.mark.parametrize("cut", range(1, 77))
def test_bytes_cut_short_are_refused(cut: int) -> None:
    data = OpeningPart({"ab" * 16: bytearray(32)}, {"cd" * 16: datetime(2031, 4, 1, tzinfo=UTC)}).encode()
    with pytest.raises(IntegrityError):
        OpeningPart.decode(data[:-cut])


def test_bytes_too_many_are_refused() -> None:
    for decode, data in ((OpeningPart.decode, OpeningPart({}, {}).encode()), (TakingPart.decode, bytearray(4))):
        with pytest.raises(IntegrityError):
            decode(data + b"\x00")
