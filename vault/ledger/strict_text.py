"""The two spellings that C2SP texts use for values, base64 and decimals, each read in its one canonical form only.

A value with two spellings would let somebody change a signed or stored text without changing what it says. The
readers raise ValueError, which the formats built on them (`note.py`, `checkpoint.py`, `receipt.py`) turn into an
error of their own.
"""

import re
from base64 import b64decode, b64encode

_DECIMAL = re.compile("0|[1-9][0-9]{0,18}")
_MAX_DECIMAL = 2**63 - 1


def encode_base64(data: bytes) -> str:
    """Write bytes in the standard alphabet, padded. Source: RFC 4648, section 4."""
    return b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Read what `encode_base64` wrote.

    Raises:
        ValueError: another alphabet, padding, white space or bits left over.
    """
    data = b64decode(text, validate=True)
    if encode_base64(data) != text:  # b64decode lets unused bits and needless padding pass
        raise ValueError("not-canonical")
    return data


def parse_decimal(text: str) -> int:
    """Read an ASCII decimal without leading zeros, from 0 to 2**63 - 1.

    Raises:
        ValueError: a sign, white space, another script's digits, a leading zero, or too large.
    """
    if _DECIMAL.fullmatch(text) is None or (number := int(text)) > _MAX_DECIMAL:
        raise ValueError("not-canonical")
    return number
