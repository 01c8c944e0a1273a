"""The arithmetic of segments, judged by laying streams out byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import IntegrityError
from vault.sealing.layout import LIVE_LAYOUT, OBJECT_LAYOUT, StreamLayout

SMALL = StreamLayout(64)  # 8 plaintext bytes in segment 0, 48 in the others


def segments_laid_out(plain_length: int, layout: StreamLayout) -> list[int]:
    """Fill segments one after the other, as a writer does, and give their plaintext lengths."""
    lengths = [min(plain_length, layout.segment_bytes - 56)]
    left = plain_length - lengths[0]
    while left:
        lengths.append(min(left, layout.segment_bytes - 16))
        left -= lengths[-1]
    return lengths


def test_the_capacities_are_those_of_the_format() -> None:
    assert (OBJECT_LAYOUT.first_capacity, OBJECT_LAYOUT.capacity(0), OBJECT_LAYOUT.capacity(1)) == (
        1_048_520,
        1_048_520,
        1_048_560,
    )
    assert (LIVE_LAYOUT.first_capacity, LIVE_LAYOUT.capacity(7)) == (4_040, 4_080)


@pytest.mark.parametrize("plain_length", range(300))
def test_lengths_and_spans_agree_with_a_stream_laid_out(plain_length: int) -> None:
    lengths = segments_laid_out(plain_length, SMALL)
    sealed_length = 40 + sum(length + 16 for length in lengths)
    assert SMALL.sealed_length(plain_length) == sealed_length
    assert SMALL.plain_length(sealed_length) == plain_length
    assert SMALL.segment_count(sealed_length) == len(lengths)
    position, offset = 0, 40
    for index, length in enumerate(lengths):
        assert SMALL.segment_span(index, sealed_length) == (offset, length + 16)
        assert SMALL.plain_offset(index) == position
        position, offset = position + length, offset + length + 16


@pytest.mark.parametrize("layout", [SMALL, LIVE_LAYOUT])
def test_a_length_that_no_plaintext_gives_is_refused(layout: StreamLayout) -> None:
    possible = {layout.sealed_length(length) for length in range(3 * layout.segment_bytes)}
    for sealed_length in range(-1, 3 * layout.segment_bytes):
        if sealed_length in possible:
            assert layout.sealed_length(layout.plain_length(sealed_length)) == sealed_length
        else:
            with pytest.raises(IntegrityError) as caught:
                layout.plain_length(sealed_length)
            assert caught.value.code == "object-length-impossible"


def test_more_segments_than_the_counter_can_name_are_refused() -> None:
    full = SMALL.segment_bytes * (1 << 32)
    assert SMALL.segment_count(full) == 1 << 32
    with pytest.raises(IntegrityError):
        SMALL.segment_count(full + 17)


@given(start=st.integers(0, 400), count=st.integers(0, 400))
def test_a_range_names_exactly_the_segments_that_hold_it(start: int, count: int) -> None:
    owner = [index for index, length in enumerate(segments_laid_out(1000, SMALL)) for _ in range(length)]
    assert list(SMALL.segments_for_range(start, count)) == sorted(set(owner[start : start + count]))
