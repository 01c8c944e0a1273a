"""Buffers for reading: as long as asked, writable, and on a page."""

import ctypes
import mmap

import pytest

from vault.storage.aligned import aligned_buffer


@pytest.mark.parametrize("size", [1, mmap.PAGESIZE, (1 << 20) + 1])
def test_a_buffer_is_as_long_as_asked_and_begins_on_a_page(size: int) -> None:
    buffer = aligned_buffer(size)
    assert len(buffer) == size
    buffer[-1] = 7
    assert bytes(buffer[-1:]) == b"\x07"
    assert ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % mmap.PAGESIZE == 0
