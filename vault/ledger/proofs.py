"""Checking inclusion and consistency proofs of RFC 9162. Leaves out making them, which is in `merkle.py`.

A stranger needs only this file and the two hash functions: no tree, no vault.
"""

from collections.abc import Sequence

from vault.errors import IntegrityError
from vault.ledger.merkle import EMPTY_ROOT, HASH_BYTES, node_hash


def verify_inclusion(*, leaf: bytes, index: int, tree_size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` is leaf `index` of the tree that `root` commits to.

    Args:
        leaf: leaf hash, 32 bytes (see `merkle.leaf_hash`), not the entry itself.
        index: zero-based, 0 <= index < tree_size.
        tree_size: number of leaves under `root`.
        proof: sibling hashes, the leaf's own first, 32 bytes each.
        root: root hash from a checkpoint whose signature is already verified.

    Raises:
        IntegrityError: `proof-invalid`, the proof does not lead from `leaf` to `root`.

    Source: RFC 9162, section 2.1.3.2 (its step numbers stand beside the code).
    """
    possible = 0 <= index < tree_size and _are_hashes(leaf, root, *proof)  # 1
    if not possible or _root_from(leaf, index, tree_size, proof) != root:
        raise IntegrityError("proof-invalid", tree_size=tree_size)


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `new_size` leaves begins, unchanged, with the tree of `old_size` leaves.

    Args:
        old_size: number of leaves under `old_root`; for 0 that root must be the empty tree's.
        old_root: root hash, 32 bytes, of the older checkpoint.
        new_size: number of leaves under `new_root`, at least `old_size`.
        new_root: root hash, 32 bytes, of the newer checkpoint.
        proof: hashes in the order of RFC 9162, 32 bytes each; none when `old_size` is 0 or equals `new_size`.

    Raises:
        IntegrityError: `proof-invalid`, the proof does not lead to both roots.

    Source: RFC 9162, section 2.1.4.2 (its step numbers stand beside the code); the empty old tree: C2SP tlog-witness.
    """
    if not 0 <= old_size <= new_size or not _are_hashes(old_root, new_root, *proof):
        holds = False
    elif old_size == 0:
        holds = not proof and old_root == EMPTY_ROOT and (new_size > 0 or new_root == EMPTY_ROOT)
    elif old_size == new_size:
        holds = not proof and old_root == new_root
    else:
        holds = bool(proof) and _roots_from(old_root, old_size, new_size, proof) == (old_root, new_root)  # 1, 7
    if not holds:
        raise IntegrityError("proof-invalid", tree_size=new_size)


def _root_from(leaf: bytes, index: int, tree_size: int, proof: Sequence[bytes]) -> bytes | None:
    """Compute the root that an inclusion proof leads to, or None when its length does not fit the size."""
    at, last, root = index, tree_size - 1, leaf  # 2, 3: fn, sn and r of the standard
    for sibling in proof:  # 4
        if last == 0:
            return None
        if at & 1 or at == last:
            root = node_hash(sibling, root)
            skipped = _trailing_zeros(at)  # levels at which this node is the right edge and has no sibling
            at, last = at >> skipped, last >> skipped
        else:
            root = node_hash(root, sibling)
        at, last = at >> 1, last >> 1
    return root if last == 0 else None  # 5


def _roots_from(old_root: bytes, old_size: int, new_size: int, proof: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Compute the old and new root that a consistency proof leads to, or None when its length does not fit the sizes.

    Asks for 0 < old_size < new_size and a proof that is not empty.
    """
    path = (old_root, *proof) if old_size.bit_count() == 1 else tuple(proof)  # 2
    complete = _trailing_zeros(old_size)  # 4: levels at which the old tree's last subtree is complete
    at, last = (old_size - 1) >> complete, (new_size - 1) >> complete  # 3: fn and sn of the standard
    old = new = path[0]  # 5
    for sibling in path[1:]:  # 6
        if last == 0:
            return None
        if at & 1 or at == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            skipped = _trailing_zeros(at)
            at, last = at >> skipped, last >> skipped
        else:
            new = node_hash(new, sibling)
        at, last = at >> 1, last >> 1
    return (old, new) if last == 0 else None  # 7


def _are_hashes(*values: bytes) -> bool:
    # A longer and a shorter neighbour could otherwise make up the same node.
    return all(len(value) == HASH_BYTES for value in values)


def _trailing_zeros(number: int) -> int:
    """Count the zero bits below the lowest set bit; none in 0, where the standard's shifting stops at once."""
    return (number & -number).bit_length() - 1 if number else 0
