"""Opening single segments of sealed streams, for tests that look at one."""

from vault.sealing.stream import SegmentOpener


def open_segment(opener: SegmentOpener, index: int, sealed: bytes | memoryview) -> bytes:
    buffer = memoryview(bytearray(len(sealed)))
    return bytes(buffer[: opener.open_into(index, sealed, buffer)])
