"""Entry bundles: the entries behind one tile of level 0, as published. Leaves out their paths (`tiles.py`).

Source: C2SP tlog-tiles, "Log entries": for each entry its length as a big-endian uint16, then its bytes.
"""

from collections.abc import Sequence

from vault.errors import IntegrityError, RefusedError

MAX_ENTRY_BYTES = 65_535
_LENGTH_BYTES = 2


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Join the entries of one tile, in order.

    Raises:
        RefusedError: `entry-too-long`, an entry has more than 65,535 bytes.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise RefusedError("entry-too-long", entry_bytes=len(entry), limit_bytes=MAX_ENTRY_BYTES)
        parts += (len(entry).to_bytes(_LENGTH_BYTES, "big"), entry)
    return b"".join(parts)


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """Take a bundle apart into its `width` entries; their hashes are still to be compared with the tile.

    Raises:
        IntegrityError: `entry-bundle-malformed`, it is cut short or goes on after its last entry.
    """
    entries: list[bytes] = []
    at = 0
    for _ in range(width):
        begin = at + _LENGTH_BYTES
        at = begin + int.from_bytes(data[at:begin], "big")
        entries.append(data[begin:at])
        if max(begin, at) > len(data):
            raise IntegrityError("entry-bundle-malformed")
    if at != len(data):
        raise IntegrityError("entry-bundle-malformed")
    return entries
