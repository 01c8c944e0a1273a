"""Memory to read files into, aligned to pages."""

import mmap


def aligned_buffer(size: int) -> memoryview:
    """Give `size` writable bytes that begin on a page.

    Read a file from an offset that is a multiple of the page's size into the beginning of it. A `bytearray` begins
    some bytes into a page, and processors copy slowly to where a page's offset is a little more than at the source:
    reading cached files into one takes up to three times as long.
    """
    return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
