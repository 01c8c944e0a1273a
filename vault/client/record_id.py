"""The record ids that a station chooses."""

import os
import time
from uuid import UUID

_VERSION, _VARIANT = 0x7, 0x2


def new_record_id() -> str:
    """Give a fresh UUIDv7: ids of one station sort by the time they were made. Source: RFC 9562, section 5.7."""
    bits = int.from_bytes(os.urandom(10), "big")
    high, low = bits >> 62 & 0xFFF, bits & ((1 << 62) - 1)
    milliseconds = time.time_ns() // 1_000_000 & ((1 << 48) - 1)
    return str(UUID(int=milliseconds << 80 | _VERSION << 76 | high << 64 | _VARIANT << 62 | low))
