"""A Merkle tree that grows: its compact range, and the complete subtrees it has passed.

Pure. An append costs O(1) hashes amortised; what it completes is remembered, so that the proofs of recent entries
need no stored tile. How older subtrees are read is the reader's business.
"""

from collections.abc import Iterable, Iterator

from vault.ledger.merkle import CompactRange, HashReader, node_hash

Subtree = tuple[int, int]  # (level, index): 2**level leaves from leaf index * 2**level
_REMEMBERED = 1 << 16  # subtrees: about 8 MiB


class GrowingTree:
    """The right edge of a tree and its recent subtrees.

    `extended` and `read` may run beside `adopt`; one thread adopts at a time.
    """

    def __init__(self, compact_range: CompactRange, stored: HashReader) -> None:
        """Continue a tree from its compact range; `stored` gives complete subtrees that are not remembered."""
        self.range = compact_range
        self._stored = stored
        self._recent: dict[Subtree, bytes] = dict(_edge(compact_range))

    def extended(
        self, leaves: Iterable[bytes], onto: CompactRange | None = None
    ) -> tuple[CompactRange, list[tuple[Subtree, bytes]]]:
        """Append leaf hashes; give the new range and the subtrees completed by them, lowest first.

        The tree itself stays as it is until `adopt`: a commit that fails leaves nothing behind.

        Args:
            leaves: what to append.
            onto: an edge that this tree has, or had; the one it has now where None.
        """
        edge_now = self.range if onto is None else onto
        size, edge = edge_now.size, list(edge_now.hashes)
        completed: list[tuple[Subtree, bytes]] = []
        for leaf in leaves:
            level, index, digest = 0, size, leaf
            completed.append(((0, index), digest))
            while index & 1:
                digest = node_hash(edge.pop(), digest)
                level, index = level + 1, index >> 1
                completed.append(((level, index), digest))
            edge.append(digest)
            size += 1
        return CompactRange(size, tuple(edge)), completed

    def adopt(self, compact_range: CompactRange, completed: Iterable[tuple[Subtree, bytes]]) -> None:
        """Make what `extended` gave the state of this tree, now that it is durable; a smaller one changes nothing."""
        recent = self._recent
        recent.update(completed)
        if compact_range.size > self.range.size:
            self.range = compact_range
        if len(recent) > _REMEMBERED:
            keep = list(recent.items())[_REMEMBERED // 2 :]
            self._recent = dict(keep) | dict(_edge(self.range))

    def read(self, level: int, index: int) -> bytes:
        """Give the root of a complete subtree."""
        found = self._recent.get((level, index))
        return found if found is not None else self._stored(level, index)


def _edge(compact_range: CompactRange) -> Iterator[tuple[Subtree, bytes]]:
    begin = 0
    for level, digest in zip(_levels(compact_range.size), compact_range.hashes, strict=True):
        yield (level, begin >> level), digest
        begin += 1 << level


def _levels(size: int) -> list[int]:
    return [bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]
