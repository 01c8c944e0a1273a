"""The Kura-Deposit header: base64url of the JSON that says what a record is. Pure."""

import base64
import binascii
from typing import Any

from vault.errors import RefusedError
from vault.records.announcement import parse_members


def decode_base64url(text: str) -> bytes:
    """Read base64url without padding (RFC 4648, section 5).

    Raises:
        ValueError: it is none.
    """
    if not text.isascii() or not text.replace("-", "a").replace("_", "a").isalnum():
        raise ValueError("not-base64url")
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not-base64url") from error
    if base64.urlsafe_b64encode(decoded).decode().rstrip("=") != text:
        raise ValueError("not-base64url")
    return decoded


def parse_header(header: str | None) -> dict[str, Any]:
    """Read the header's value: its members.

    Raises:
        RefusedError: `deposit-header-malformed`.
    """
    if header is None:
        raise RefusedError("deposit-header-malformed", reason="the header is missing")
    try:
        return parse_members(decode_base64url(header))
    except ValueError as error:
        raise RefusedError("deposit-header-malformed", reason="it is not base64url without padding") from error
