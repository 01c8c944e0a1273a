"""The Merkle tree of RFC 9162, section 2.1, copied from the standard: slow, recursive, over whole lists of entries.

It shares nothing with the product's tree, so that the two can be held against each other.
"""

from hashlib import sha256


def _largest_power_of_two_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def merkle_tree_hash(entries: list[bytes]) -> bytes:
    """MTH(D[n]), section 2.1.1."""
    n = len(entries)
    if n == 0:
        return sha256(b"").digest()
    if n == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = _largest_power_of_two_below(n)
    return sha256(b"\x01" + merkle_tree_hash(entries[:k]) + merkle_tree_hash(entries[k:])).digest()


def path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]), section 2.1.3.1."""
    n = len(entries)
    if n == 1:
        return []
    k = _largest_power_of_two_below(n)
    if m < k:
        return [*path(m, entries[:k]), merkle_tree_hash(entries[k:])]
    return [*path(m - k, entries[k:]), merkle_tree_hash(entries[:k])]


def proof(m: int, entries: list[bytes]) -> list[bytes]:
    """PROOF(m, D[n]), section 2.1.4.1."""
    return _subproof(m, entries, known=True)


def _subproof(m: int, entries: list[bytes], *, known: bool) -> list[bytes]:
    n = len(entries)
    if m == n:
        return [] if known else [merkle_tree_hash(entries)]
    k = _largest_power_of_two_below(n)
    if m <= k:
        return [*_subproof(m, entries[:k], known=known), merkle_tree_hash(entries[k:])]
    return [*_subproof(m - k, entries[k:], known=False), merkle_tree_hash(entries[:k])]


def subtree(level: int, index: int, entries: list[bytes]) -> bytes:
    """The root of a complete subtree; a test that reads beyond the entries fails."""
    begin, end = index << level, (index + 1) << level
    assert end <= len(entries), "read of a subtree that is not complete"
    return merkle_tree_hash(entries[begin:end])
