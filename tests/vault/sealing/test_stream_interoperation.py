"""Both directions against the tink library, at every boundary length, and the one trap where it is too lenient."""

import io
import os
import random
from collections.abc import Callable

import pytest
from segments import open_segment
from tink_streams import tink_primitive

from vault.errors import IntegrityError
from vault.sealing.layout import LIVE_LAYOUT, OBJECT_LAYOUT, StreamLayout
from vault.sealing.stream import SegmentOpener, SegmentSealer

KEY = bytes(range(32))
LENGTHS: list[Callable[[int, int], int]] = [
    *(lambda _f, _n, fixed=fixed: fixed for fixed in (0, 1, 15, 16, 17)),
    *(lambda f, _n, more=more: f + more for more in (-1, 0, 1, 16)),
    *(lambda f, n, more=more: f + n + more for more in (-1, 0, 1)),
    *(lambda f, n, more=more: f + 2 * n + more for more in (0, 5)),
]


def ours_sealed(plaintext: bytes, layout: StreamLayout) -> bytes:
    sealer = SegmentSealer(KEY, b"object", os.urandom(32), os.urandom(7), layout)
    total = layout.sealed_length(len(plaintext))
    sealed = bytearray(total)
    sealed[:40] = sealer.header
    count = layout.segment_count(total)
    for index in range(count):
        start, (offset, length) = layout.plain_offset(index), layout.segment_span(index, total)
        out = memoryview(sealed)[offset : offset + length]
        sealer.seal_into(index, plaintext[start : start + layout.capacity(index)], last=index == count - 1, out=out)
    return bytes(sealed)


def ours_range(sealed: bytes, layout: StreamLayout, start: int, count: int) -> bytes:
    opener = SegmentOpener(KEY, b"object", sealed[:40], len(sealed), layout)
    count = max(0, min(count, opener.plain_length - start))
    indexes = layout.segments_for_range(start, count)
    plaintext = b""
    for index in indexes:
        offset, length = layout.segment_span(index, len(sealed))
        plaintext += open_segment(opener, index, sealed[offset : offset + length])
    skipped = start - layout.plain_offset(indexes[0]) if count else 0
    return plaintext[skipped : skipped + count]


def tink_sealed(plaintext: bytes, layout: StreamLayout) -> bytes:
    class KeptOpen(io.BytesIO):
        def close(self) -> None:
            """Stay readable: tink closes what it wrote to."""

    target = KeptOpen()
    with tink_primitive(KEY, layout.segment_bytes).new_encrypting_stream(target, b"object") as stream:
        stream.write(plaintext)
    return target.getvalue()


def tink_opened(sealed: bytes, layout: StreamLayout) -> bytes:
    with tink_primitive(KEY, layout.segment_bytes).new_decrypting_stream(io.BytesIO(sealed), b"object") as stream:
        return bytes(stream.read())


@pytest.mark.parametrize("layout", [LIVE_LAYOUT, OBJECT_LAYOUT], ids=["4 KiB", "1 MiB"])
@pytest.mark.parametrize("length_of", LENGTHS)
def test_each_reads_what_the_other_wrote(layout: StreamLayout, length_of: Callable[[int, int], int]) -> None:
    length = length_of(layout.first_capacity, layout.capacity(1))
    plaintext = random.Random(length).randbytes(length)
    ours = ours_sealed(plaintext, layout)
    assert tink_opened(ours, layout) == plaintext
    theirs = tink_sealed(plaintext, layout)
    assert len(theirs) == len(ours)
    assert ours_range(theirs, layout, 0, length) == plaintext
    ranges = random.Random(length)
    for _ in range(20):
        start, count = ranges.randint(0, length), ranges.randint(0, length)
        assert ours_range(theirs, layout, start, count) == plaintext[start : start + count]


@pytest.mark.parametrize("extra", [1, 8, 15, 16, 17, 100])
def test_trailing_bytes_that_tink_accepts_are_refused_here(extra: int) -> None:
    layout = LIVE_LAYOUT
    sealed = ours_sealed(bytes(layout.first_capacity), layout) + bytes(extra)
    assert tink_opened(sealed, layout) == bytes(layout.first_capacity)  # once tink refuses too, drop this line
    with pytest.raises(IntegrityError):
        ours_range(sealed, layout, 0, layout.first_capacity)
