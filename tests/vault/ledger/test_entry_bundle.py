import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import refused

from vault.errors import IntegrityError, RefusedError
from vault.ledger.entry_bundle import MAX_ENTRY_BYTES, decode_bundle, encode_bundle

BUNDLE = b"\x00\x01a\x00\x00\x00\x02bc"


def test_bundle_has_a_big_endian_length_before_each_entry() -> None:
    assert encode_bundle([b"a", b"", b"bc"]) == BUNDLE
    assert encode_bundle([bytes(258)])[:2] == b"\x01\x02"


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_bundle_is_read_back(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries), len(entries)) == entries


def test_longest_entry_fits_and_a_longer_one_is_refused() -> None:
    longest = bytes(MAX_ENTRY_BYTES)
    assert decode_bundle(encode_bundle([longest]), 1) == [longest]
    with refused(RefusedError, "entry-too-long"):
        encode_bundle([b"short", longest + b"\x00"])


@pytest.mark.parametrize("length", range(len(BUNDLE)))
def test_bundle_cut_short_is_refused(length: int) -> None:
    with refused(IntegrityError, "entry-bundle-malformed"):
        decode_bundle(BUNDLE[:length], 3)


@pytest.mark.parametrize("more", [b"\x00", b"\x00\x00", b"\x00\x01d"])
def test_bundle_that_goes_on_after_its_last_entry_is_refused(more: bytes) -> None:
    with refused(IntegrityError, "entry-bundle-malformed"):
        decode_bundle(BUNDLE + more, 3)


@pytest.mark.parametrize("width", [0, 1, 2, 4])
def test_bundle_of_another_width_is_refused(width: int) -> None:
    with refused(IntegrityError, "entry-bundle-malformed"):
        decode_bundle(BUNDLE, width)
