"""The record id of an imported file: the same for the same file again, so that an import can be repeated. Pure."""

import hashlib
from uuid import UUID

_MILLISECOND_NS = 1_000_000
_VERSION, _VARIANT = 0x7, 0x2


def import_id(scope: tuple[str, str, str], relative_path: bytes, size: int, mtime_ns: int) -> str:
    """Give a UUIDv7 whose time is the file's and whose random bits are SHA-256 of what tells the file from others.

    Args:
        scope: vault id, contract and record class.
        relative_path: the file's path below the imported folder, as the file system has it.
        size: in bytes.
        mtime_ns: when it was last written, in nanoseconds since 1970 (earlier counts as then).

    Source: RFC 9562, section 5.7: 48 bits of Unix milliseconds, version, 12 bits, variant, 62 bits.
    """
    parts = [*(part.encode() for part in scope), relative_path, str(size).encode(), str(mtime_ns).encode()]
    framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    bits = int.from_bytes(hashlib.sha256(b"kura/import-id/v1\n" + framed).digest()[:10], "big")
    milliseconds = max(0, mtime_ns) // _MILLISECOND_NS & ((1 << 48) - 1)
    high, low = bits >> 62 & 0xFFF, bits & ((1 << 62) - 1)
    return str(UUID(int=milliseconds << 80 | _VERSION << 76 | high << 64 | _VARIANT << 62 | low))
