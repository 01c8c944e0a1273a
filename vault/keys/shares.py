"""A custodian secret in k of n shares, and the lines of text they are printed as; leaves out what it opens.

Shamir's scheme over GF(2^128) is pycryptodome's. It gives a wrong secret, and no error, for shares that do not belong
together; so lines carry a checksum against mistyping, spare shares are held against the others, and the key store
holds a check value of the whole.

A line: `kura-share-1-<k>-<n>-<index>-<32 hex digits>-<4 hex digits>`; the last part is the beginning of SHA-256 over
what stands before it, the hyphen left out.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from Crypto.Protocol.SecretSharing import Shamir

from vault.errors import RefusedError

SHARED_BYTES = 16
MAX_SHARES = 99
_LINE = re.compile(r"(kura-share-1-([1-9][0-9]?)-([1-9][0-9]?)-([1-9][0-9]?)-([0-9a-f]{32}))-([0-9a-f]{4})")


@dataclass(frozen=True, slots=True)
class Share:
    """One custodian's share.

    Attributes:
        threshold: how many shares open (k).
        count: how many were made (n).
        index: which one this is, 1 <= index <= count.
        value: 16 bytes.
    """

    threshold: int
    count: int
    index: int
    value: bytes = field(repr=False)

    def line(self) -> str:
        """Give the line to print for the custodian."""
        body = f"kura-share-1-{self.threshold}-{self.count}-{self.index}-{self.value.hex()}"
        return f"{body}-{_checksum(body)}"


def parse_share(line: str, position: int) -> Share:
    """Read one typed line; white space and capital letters do not matter.

    Args:
        line: as printed.
        position: which of the lines typed this is, from 1; for the error only.

    Raises:
        RefusedError: `share-mistyped`.
    """
    match = _LINE.fullmatch("".join(line.split()).lower())
    if not match or _checksum(match[1]) != match[6]:
        raise RefusedError("share-mistyped", position=position)
    share = Share(int(match[2]), int(match[3]), int(match[4]), bytes.fromhex(match[5]))
    if not 2 <= share.threshold <= share.count or share.index > share.count:  # noqa: PLR2004  # as in `split_secret`
        raise RefusedError("share-mistyped", position=position)
    return share


def split_secret(secret: bytes, threshold: int, count: int) -> list[Share]:
    """Split a secret so that any `threshold` of `count` shares give it back and fewer tell nothing of it.

    Args:
        secret: 16 random bytes.
        threshold: 2 <= threshold <= count.
        count: at most 99.

    Raises:
        RefusedError: `share-plan-impossible`.
    """
    if not 2 <= threshold <= count <= MAX_SHARES:  # noqa: PLR2004  # with one, every share were the secret itself
        raise RefusedError("share-plan-impossible", threshold=threshold, count=count)
    return [Share(threshold, count, index, value) for index, value in Shamir.split(threshold, count, secret)]


def combine_shares(shares: Sequence[Share]) -> bytes:
    """Give back the 16 bytes that were split.

    Shares of different secrets with equal k and n are noticed only where more than k are given; otherwise the result
    is a wrong secret, which its user must check.

    Raises:
        RefusedError: `shares-too-few`, `share-duplicated`, or `shares-mixed`.
    """
    if len({(share.threshold, share.count) for share in shares}) > 1:
        raise RefusedError("shares-mixed")
    indexes = [share.index for share in shares]
    for index in indexes:
        if indexes.count(index) > 1:
            raise RefusedError("share-duplicated", index=index)
    needed = shares[0].threshold if shares else 2
    if len(shares) < needed:
        raise RefusedError("shares-too-few", given=len(shares), needed=needed)
    points = [(share.index, share.value) for share in shares]
    secret = Shamir.combine(points[:needed])
    for spare in points[needed:]:
        if Shamir.combine([*points[: needed - 1], spare]) != secret:
            raise RefusedError("shares-mixed")
    return secret


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()[:4]
