"""The Content-Digest header: what the sender says that the bytes hash to. Pure.

Source: RFC 9530, sections 2 and 5; RFC 8941, section 3.2 (dictionaries) and 3.3.5 (byte sequences).
"""

import base64
import binascii
import re
from dataclasses import dataclass

from vault.errors import RefusedError

_MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):")
_LENGTHS = {"sha-256": 32, "sha-512": 64}


@dataclass(frozen=True, slots=True)
class ContentDigest:
    """The digests of a body that were announced; None where one was not. Other algorithms are passed over."""

    sha256: bytes | None = None
    sha512: bytes | None = None


def parse_content_digest(header: str | None) -> ContentDigest:
    """Read the header's value.

    Raises:
        RefusedError: `content-digest-malformed`.
    """
    if header is None:
        return ContentDigest()
    found: dict[str, bytes] = {}
    for part in header.split(","):
        member = _MEMBER.fullmatch(part.strip())
        if member is None or member[1] in found:
            raise RefusedError("content-digest-malformed")
        try:
            digest = base64.b64decode(member[2], validate=True)
        except binascii.Error as error:
            raise RefusedError("content-digest-malformed") from error
        if len(digest) != _LENGTHS.get(member[1], len(digest)):
            raise RefusedError("content-digest-malformed")
        found[member[1]] = digest
    return ContentDigest(found.get("sha-256"), found.get("sha-512"))
