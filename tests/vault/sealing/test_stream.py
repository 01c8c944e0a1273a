"""Sealed streams: the vectors, damage of every kind, ranges, and several threads at once."""

import hashlib
import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from segments import open_segment

from vault.errors import IntegrityError
from vault.sealing.layout import LIVE_LAYOUT, OBJECT_LAYOUT, StreamLayout
from vault.sealing.stream import SegmentOpener, SegmentSealer

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "streaming_aead.json").read_text())
KEY, SALT, PREFIX = bytes(range(32)), bytes(range(100, 132)), bytes(range(7))


def counter_stream(length: int) -> bytes:
    """The vectors' plaintext: SHA-256 over a label and a counter, cut to length."""
    blocks = (hashlib.sha256(b"records-vault-test" + i.to_bytes(8, "big")).digest() for i in range((length + 31) // 32))
    return b"".join(blocks)[:length]


def sealed_stream(plaintext: bytes, layout: StreamLayout, sealer: SegmentSealer | None = None) -> bytes:
    """Seal segment by segment into one reused buffer, as the deposit does."""
    sealer = sealer or SegmentSealer(KEY, b"object", SALT, PREFIX, layout)
    buffer = memoryview(bytearray(layout.segment_bytes))
    sealed = bytearray(sealer.header)
    count = layout.segment_count(layout.sealed_length(len(plaintext)))
    for index in range(count):
        start = layout.plain_offset(index)
        part = plaintext[start : start + layout.capacity(index)]
        written = sealer.seal_into(index, part, last=index == count - 1, out=buffer)
        sealed += buffer[:written]
    return bytes(sealed)


def opened_stream(
    sealed: bytes, layout: StreamLayout, *, key: bytes = KEY, associated_data: bytes = b"object"
) -> bytes:
    """Open segment by segment, as a reading does."""
    opener = SegmentOpener(key, associated_data, sealed[:40], len(sealed), layout)
    plaintext = b""
    for index in range(opener.segment_count):
        offset, length = layout.segment_span(index, len(sealed))
        plaintext += open_segment(opener, index, sealed[offset : offset + length])
    return plaintext


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda v: f"{v['segment_size']}-{v['plaintext_len']}")
def test_every_vector_is_written_and_read_as_other_implementations_do(vector: dict[str, Any]) -> None:
    key, associated_data = bytes.fromhex(vector["key_hex"]), bytes.fromhex(vector["aad_hex"])
    layout = StreamLayout(vector["segment_size"])
    salt, prefix = bytes.fromhex(vector["salt_hex"]), bytes.fromhex(vector["nonce_prefix_hex"])
    plaintext = counter_stream(vector["plaintext_len"])
    sealed = sealed_stream(plaintext, layout, SegmentSealer(key, associated_data, salt, prefix, layout))
    assert len(sealed) == vector["ciphertext_len"]
    assert hashlib.sha256(sealed).hexdigest() == vector["ciphertext_sha256"]
    assert sealed.hex() == vector.get("ciphertext_hex", sealed.hex())
    assert opened_stream(sealed, layout, key=key, associated_data=associated_data) == plaintext


@pytest.mark.parametrize("vector", VECTORS["must_reject"], ids=lambda v: v["name"])
def test_every_vector_to_be_refused_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        opened_stream(
            bytes.fromhex(vector["ciphertext_hex"]),
            StreamLayout(vector["segment_size"]),
            key=bytes.fromhex(vector["key_hex"]),
            associated_data=bytes.fromhex(vector["aad_hex"]),
        )


def test_every_flipped_bit_of_a_small_object_is_found() -> None:
    sealed = sealed_stream(b"an application form", OBJECT_LAYOUT)
    for bit in range(8 * len(sealed)):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            opened_stream(bytes(damaged), OBJECT_LAYOUT)


@pytest.mark.parametrize("plain_length", [0, 1, 4039, 4040, 4041, 8120, 8121])
def test_no_shortened_or_lengthened_stream_opens(plain_length: int) -> None:
    sealed = sealed_stream(counter_stream(plain_length), LIVE_LAYOUT)
    tails = [sealed + bytes(extra) for extra in (1, 15, 16, 17, 40, 4096)]
    for other in [*tails, *(sealed[:end] for end in range(0, len(sealed), 7)), sealed[:4096], sealed[:8192]]:
        if other != sealed:
            with pytest.raises(IntegrityError):
                opened_stream(other, LIVE_LAYOUT)


def test_a_stream_cut_at_a_segment_boundary_opens_no_last_segment() -> None:
    sealed = sealed_stream(counter_stream(12_000), LIVE_LAYOUT)[:8192]
    opener = SegmentOpener(KEY, b"object", sealed[:40], len(sealed), LIVE_LAYOUT)
    assert open_segment(opener, 0, sealed[40:4096])  # a whole segment of a torn file can still be shown as such
    with pytest.raises(IntegrityError) as caught:
        open_segment(opener, 1, sealed[4096:])
    assert (caught.value.code, caught.value.facts) == ("object-altered", {"segment": 1})


def swap_segments(sealed: bytes) -> bytes:
    return sealed[:4096] + sealed[8192:12288] + sealed[4096:8192] + sealed[12288:]


def repeat_segment(sealed: bytes) -> bytes:
    return sealed[:8192] + sealed[4096:8192] + sealed[12288:]


def drop_segment(sealed: bytes) -> bytes:
    return sealed[:4096] + sealed[8192:]


@pytest.mark.parametrize("rearranged", [swap_segments, repeat_segment, drop_segment])
def test_rearranged_segments_do_not_open(rearranged: Callable[[bytes], bytes]) -> None:
    sealed = sealed_stream(counter_stream(14_000), LIVE_LAYOUT)
    with pytest.raises(IntegrityError):
        opened_stream(rearranged(sealed), LIVE_LAYOUT)


@pytest.mark.parametrize(
    ("key", "associated_data"), [(bytes(32), b"object"), (KEY, b"another"), (KEY, b""), (KEY, b"object\x00")]
)
def test_another_key_or_another_place_does_not_open_it(key: bytes, associated_data: bytes) -> None:
    sealed = sealed_stream(b"bytes", OBJECT_LAYOUT)
    with pytest.raises(IntegrityError):
        opened_stream(sealed, OBJECT_LAYOUT, key=key, associated_data=associated_data)


def test_an_object_written_live_does_not_open_as_one_of_large_segments() -> None:
    with pytest.raises(IntegrityError):
        opened_stream(sealed_stream(counter_stream(9_000), LIVE_LAYOUT), OBJECT_LAYOUT)


@pytest.mark.parametrize("length", [0, 1, 1_048_520, 1_048_521, 2_100_000])
def test_bytes_sealed_in_one_go_come_back(length: int) -> None:
    plaintext = counter_stream(length)
    sealed = sealed_stream(plaintext, OBJECT_LAYOUT)
    assert sealed == sealed_stream(plaintext, OBJECT_LAYOUT)
    assert opened_stream(sealed, OBJECT_LAYOUT) == plaintext


def test_a_refused_segment_leaves_no_plaintext_behind() -> None:
    sealed = bytearray(sealed_stream(b"a name that is nobody's business", OBJECT_LAYOUT))
    sealed[-1] ^= 1
    opener = SegmentOpener(KEY, b"object", bytes(sealed[:40]), len(sealed), OBJECT_LAYOUT)
    out = bytearray(b"\xff" * 64)
    with pytest.raises(IntegrityError):
        opener.open_into(0, sealed[40:], memoryview(out))
    assert out == bytes(32) + b"\xff" * 32


def test_segments_may_be_sealed_and_opened_in_any_order_by_several_threads() -> None:
    plaintext = counter_stream(400_000)
    layout = LIVE_LAYOUT
    total = layout.sealed_length(len(plaintext))
    count = layout.segment_count(total)
    sealer = SegmentSealer(KEY, b"object", SALT, PREFIX, layout)
    sealed = bytearray(total)
    sealed[:40] = sealer.header
    order = random.Random(7).sample(range(count), count)

    def seal(index: int) -> int:
        start = layout.plain_offset(index)
        offset, length = layout.segment_span(index, total)
        out = memoryview(sealed)[offset : offset + length]
        part = plaintext[start : start + layout.capacity(index)]
        return sealer.seal_into(index, part, last=index == count - 1, out=out)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(seal, order)) == total - 40
        assert bytes(sealed) == sealed_stream(plaintext, layout)
        opener = SegmentOpener(KEY, b"object", sealer.header, total, layout)
        opened = bytearray(len(plaintext))

        def open_one(index: int) -> None:
            offset, length = layout.segment_span(index, total)
            opener.open_into(index, sealed[offset : offset + length], memoryview(opened)[layout.plain_offset(index) :])

        list(threads.map(open_one, order))
    assert opened == plaintext


@pytest.mark.parametrize(
    ("index", "length", "last"),
    [(0, 4039, False), (0, 4041, True), (1, 4079, False), (1, 4081, True), (1, 0, True), (1 << 32, 4080, True)],
)
def test_a_segment_of_the_wrong_length_is_never_sealed(index: int, length: int, last: bool) -> None:  # noqa: FBT001  # a parameter of the table above
    sealer = SegmentSealer(KEY, b"object", SALT, PREFIX, LIVE_LAYOUT)
    with pytest.raises(ValueError, match="does not fit"):
        sealer.seal_into(index, bytes(length), last=last, out=memoryview(bytearray(8192)))


@pytest.mark.parametrize(
    ("key", "salt", "prefix"), [(bytes(16), SALT, PREFIX), (KEY, bytes(31), PREFIX), (KEY, SALT, bytes(8))]
)
def test_keys_salts_and_prefixes_of_the_wrong_size_are_refused(key: bytes, salt: bytes, prefix: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        SegmentSealer(key, b"object", salt, prefix, LIVE_LAYOUT)
