"""The Merkle tree of RFC 6962: hashes, appending, roots and proofs. Leaves out storage and the checking of proofs.

Nothing here holds a tree. Appending needs only the compact range of what is there (at most 63 hashes); proving reads
single subtree roots through a `HashReader`. Both take O(log n) hashes. Proofs are checked in `proofs.py`.

    grown = CompactRange().extend(leaf_hash(entry) for entry in entries)
    grown.root()
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from vault.errors import IntegrityError, RefusedError

HASH_BYTES = 32
MAX_TREE_SIZE = 2**63 - 1  # what a signed 64-bit database column holds
EMPTY_ROOT = sha256(b"").digest()

HashReader = Callable[[int, int], bytes]
"""Gives the root of a complete subtree for its (level, index): the 2**level leaves from leaf index * 2**level on.

Which subtrees are read depends on sizes only, never on the hashes: a reader that records what it is asked and answers
with zeros tells a caller what to prefetch.
"""


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry into its leaf. Source: RFC 6962, section 2.1."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtree roots into their parent. Source: RFC 6962, section 2.1."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class CompactRange:
    """All of a tree that appending to it needs: the roots of its maximal complete subtrees, largest (leftmost) first.

    Raises IntegrityError `compact-range-malformed` unless there is one hash for each bit set in `size`.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a size and hashes that cannot belong together."""
        possible = 0 <= self.size <= MAX_TREE_SIZE and len(self.hashes) == self.size.bit_count()
        if not possible or any(len(subtree) != HASH_BYTES for subtree in self.hashes):
            raise IntegrityError("compact-range-malformed", tree_size=self.size)

    def extend(self, leaf_hashes: Iterable[bytes]) -> "CompactRange":
        """Give the range of the tree with these leaf hashes (32 bytes each) appended: amortised O(1) for each."""
        hashes, size = list(self.hashes), self.size
        for leaf in leaf_hashes:
            if len(leaf) != HASH_BYTES:  # inside a node its length could no longer be seen
                raise IntegrityError("compact-range-malformed", tree_size=size)
            subtree, carry = leaf, size
            while carry & 1:  # as in binary addition: two complete subtrees of one size become one of the next
                subtree = sha256(b"\x01" + hashes.pop() + subtree).digest()
                carry >>= 1
            hashes.append(subtree)
            size += 1
        return CompactRange(size, tuple(hashes))

    def root(self) -> bytes:
        """Give the root hash of the tree; `EMPTY_ROOT` when it has no leaf."""
        return _fold(self.hashes) if self.hashes else EMPTY_ROOT

    def encode(self) -> bytes:
        """Concatenate the hashes; the size is kept beside them by the caller."""
        return b"".join(self.hashes)

    @classmethod
    def decode(cls, size: int, data: bytes) -> Self:
        """Read what `encode` gave for a tree of `size` leaves.

        Raises:
            IntegrityError: `compact-range-malformed`, the length does not fit the size.
        """
        return cls(size, tuple(data[start : start + HASH_BYTES] for start in range(0, len(data), HASH_BYTES)))


def compact_range_at(size: int, read: HashReader) -> CompactRange:
    """Read the compact range of the first `size` leaves, to append after them or to know their root."""
    return CompactRange(size, tuple(read(level, index) for level, index in _subtrees(0, size)))


def root_at(size: int, read: HashReader) -> bytes:
    """Give the root hash over the first `size` leaves."""
    return compact_range_at(size, read).root()


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """Prove that leaf `index` (zero-based) is in the tree of the first `size` leaves.

    Returns:
        The sibling hashes, the leaf's own first, 32 bytes each.

    Raises:
        RefusedError: `leaf-not-in-tree`, unless 0 <= index < size.

    Source: RFC 9162, section 2.1.3.1.
    """
    if not 0 <= index < size:
        raise RefusedError("leaf-not-in-tree", index=index, tree_size=size)
    begin, end, proof = 0, size, []
    while end - begin > 1:
        middle = _split(begin, end)
        if index < middle:
            proof.append(_root_of(middle, end, read))
            end = middle
        else:
            proof.append(_root_of(begin, middle, read))
            begin = middle
    proof.reverse()
    return proof


def consistency_proof(old_size: int, new_size: int, read: HashReader) -> list[bytes]:
    """Prove that the tree of `new_size` leaves begins with the tree of `old_size` leaves.

    Returns:
        The hashes from the leaves upwards, 32 bytes each; none when the old tree is empty or the sizes are equal.

    Raises:
        RefusedError: `tree-sizes-impossible`, unless 0 <= old_size <= new_size.

    Source: RFC 9162, section 2.1.4.1; the empty old tree: C2SP tlog-witness, add-checkpoint.
    """
    if not 0 <= old_size <= new_size:
        raise RefusedError("tree-sizes-impossible", old_size=old_size, new_size=new_size)
    if old_size == 0:
        return []
    begin, end, proof = 0, new_size, []
    while end != old_size:
        middle = _split(begin, end)
        if old_size <= middle:
            proof.append(_root_of(middle, end, read))
            end = middle
        else:
            proof.append(_root_of(begin, middle, read))
            begin = middle
    if begin > 0:  # otherwise the subtree reached is the whole old tree, whose root the verifier has
        proof.append(_root_of(begin, end, read))
    proof.reverse()
    return proof


def _split(begin: int, end: int) -> int:
    """Say where RFC 6962 splits a range of two or more leaves: the left part is the largest power of two below all."""
    return begin + (1 << ((end - begin - 1).bit_length() - 1))


def _subtrees(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """List the complete subtrees, (level, index), that a range met in splitting a tree consists of, largest first."""
    while begin < end:
        level = (end - begin).bit_length() - 1  # begin is a multiple of 2**level in every range `_split` leads to
        yield level, begin >> level
        begin += 1 << level


def _root_of(begin: int, end: int, read: HashReader) -> bytes:
    return _fold([read(level, index) for level, index in _subtrees(begin, end)])


def _fold(hashes: Sequence[bytes]) -> bytes:
    """Join subtree roots, largest first, into the root over all of them: the right edge is hashed first."""
    root = hashes[-1]
    for subtree in reversed(hashes[:-1]):
        root = node_hash(subtree, root)
    return root
