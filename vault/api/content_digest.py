"""The Content-Digest header: what the sender says that the bytes hash to. Pure.

Source: RFC 9530, sections 2 and 5; RFC 8941, section 3.2 (dictionaries) and 3.3.5 (byte sequences).
"""

import base64
import binascii
import hashlib
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


class DigestCheck:
    """Compares a body with what was announced of it, piece by piece as it passes."""

    def __init__(self, announced: ContentDigest) -> None:
        """Begin; what was not announced is not counted."""
        both = (hashlib.sha256, announced.sha256), (hashlib.sha512, announced.sha512)
        self._counted = [(begin(), digest) for begin, digest in both if digest is not None]

    def update(self, piece: bytes) -> None:
        """Take the next bytes."""
        for counted, _ in self._counted:
            counted.update(piece)

    def finish(self) -> None:
        """Compare.

        Raises:
            RefusedError: `digest-not-as-announced`.
        """
        if any(counted.digest() != digest for counted, digest in self._counted):
            raise RefusedError("digest-not-as-announced")


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
