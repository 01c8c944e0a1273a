"""Tiles of a log: which ones a tree has, where each is published, and which inner nodes it gives.

Leaves out reading and writing them, and the entries themselves (`entry_bundle.py`). Source: C2SP tlog-tiles,
"Merkle Tree". A tile holds up to 256 consecutive hashes of one tree level, concatenated; levels between tiles are
hashed again when needed:

    level 1    [ o o … ]               each hash is the root of one full tile below
    level 0    [ o o … o ] [ o o … ]   leaf hashes; the second tile is still partial
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from vault.errors import IntegrityError, RefusedError
from vault.ledger.merkle import HASH_BYTES, MAX_TREE_SIZE, HashReader

TILE_HEIGHT = 8
TILE_WIDTH = 2**TILE_HEIGHT
MAX_TILE_LEVEL = 63

TileReader = Callable[[int, int], bytes]
"""Gives the newest bytes of the tile at (level, index), full or partial."""

_PATH = re.compile(r"tile/(entries|[0-9]{1,2})/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([0-9]{1,3}))?")


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: hashes `index * 256` up to `index * 256 + width` of tile level `level` (tree level 8 * `level`).

    Raises RefusedError `tile-impossible` unless 0 <= level <= 63, index >= 0 and 1 <= width <= 256.
    """

    level: int
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        """Refuse what no tree has."""
        possible = 0 <= self.level <= MAX_TILE_LEVEL and 0 <= self.index <= MAX_TREE_SIZE
        if not possible or not 1 <= self.width <= TILE_WIDTH:
            raise RefusedError("tile-impossible")

    def path(self) -> str:
        """Say where the tile is published under the log's prefix, as `tile/0/x001/234.p/17`."""
        return f"tile/{self.level}/{self._index_path()}"

    def entries_path(self) -> str:
        """Say where the entry bundle behind a tile of level 0 is published, as `tile/entries/x001/234.p/17`.

        Raises:
            RefusedError: `tile-impossible`, the tile is not of level 0.
        """
        if self.level != 0:
            raise RefusedError("tile-impossible")
        return f"tile/entries/{self._index_path()}"

    def _index_path(self) -> str:
        *folders, last = f"{self.index:,}".split(",")  # groups of three digits: 1234067 -> 1, 234, 067
        # The x keeps a folder and a file from ever having the same name.
        path = "".join(f"x{folder:0>3}/" for folder in folders) + f"{last:0>3}"
        return path if self.width == TILE_WIDTH else f"{path}.p/{self.width}"


def parse_tile_path(path: str) -> Tile:
    """Read a path that `Tile.path` gave.

    Raises:
        RefusedError: `tile-path-malformed`, also for every path that is only nearly so (`tile/00/000`, `tile/0/0`).
    """
    tile = _parse(path)
    if tile.path() != path:
        raise RefusedError("tile-path-malformed")
    return tile


def parse_entries_path(path: str) -> Tile:
    """Read a path that `Tile.entries_path` gave, as the tile of level 0 that holds the leaf hashes of the bundle.

    Raises:
        RefusedError: `tile-path-malformed`.
    """
    tile = _parse(path)
    if tile.level != 0 or tile.entries_path() != path:
        raise RefusedError("tile-path-malformed")
    return tile


def _parse(path: str) -> Tile:
    """Read a path loosely; the caller compares it with the one path that the tile has."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise RefusedError("tile-path-malformed")
    level, index, width = match.groups()
    try:
        return Tile(
            level=0 if level == "entries" else int(level),
            index=int(index.replace("/", "").replace("x", "")),
            width=TILE_WIDTH if width is None else int(width),
        )
    except RefusedError as error:
        raise RefusedError("tile-path-malformed") from error


def tiles_of(size: int) -> Iterator[Tile]:
    """List all tiles of a tree of `size` leaves, level 0 first, each level from the left; the last may be partial."""
    return tiles_between(0, size)


def tiles_between(old_size: int, new_size: int) -> Iterator[Tile]:
    """List the tiles that a tree of `new_size` leaves has and the tree of `old_size` leaves had not, or narrower.

    Raises:
        RefusedError: `tree-sizes-impossible`, unless 0 <= old_size <= new_size.
    """
    if not 0 <= old_size <= new_size:
        raise RefusedError("tree-sizes-impossible", old_size=old_size, new_size=new_size)
    level, old, new = 0, old_size, new_size
    while new > old:  # where nothing is added at one level, nothing is above it
        for index in range(old // TILE_WIDTH, -(-new // TILE_WIDTH)):
            yield Tile(level, index, min(new - index * TILE_WIDTH, TILE_WIDTH))
        level, old, new = level + 1, old >> TILE_HEIGHT, new >> TILE_HEIGHT


def subtree_in_tile(tile: bytes | Sequence[bytes], level_in_tile: int, index_in_tile: int) -> bytes:
    """Compute an inner node of a tile: the root over 2**level_in_tile of its hashes.

    Args:
        tile: the tile, full or partial: its bytes, or its hashes one by one.
        level_in_tile: 0 (one of the tile's own hashes) to 8 (the root of a full tile).
        index_in_tile: which subtree of that level, from the left.

    Raises:
        IntegrityError: `tile-malformed`, the tile is not made of whole hashes or is too narrow to have this node.
    """
    hashes = tile if isinstance(tile, bytes) else b"".join(tile)
    begin = (index_in_tile << level_in_tile) * HASH_BYTES
    end = begin + (HASH_BYTES << level_in_tile)
    if len(hashes) % HASH_BYTES or not 0 <= begin < end <= len(hashes) <= TILE_WIDTH * HASH_BYTES:
        raise IntegrityError("tile-malformed")
    hashes = hashes[begin:end]
    while len(hashes) > HASH_BYTES:
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
    return hashes


class SubtreePlace(NamedTuple):
    """Where in the tiles the root of a complete subtree is found: the tile, and the node inside it."""

    tile_level: int
    tile_index: int
    level_in_tile: int
    index_in_tile: int


def tile_of_subtree(level: int, index: int) -> SubtreePlace:
    """Find the tile that gives the root of a complete subtree, named as in `merkle.HashReader`."""
    tile_level, level_in_tile = divmod(level, TILE_HEIGHT)
    tile_index, index_in_tile = divmod(index, TILE_WIDTH >> level_in_tile)
    return SubtreePlace(tile_level, tile_index, level_in_tile, index_in_tile)


def reader_of_tiles(read_tile: TileReader) -> HashReader:
    """Give a `HashReader` over tiles, for proofs from what is published or stored."""

    def read(level: int, index: int) -> bytes:
        place = tile_of_subtree(level, index)
        tile = read_tile(place.tile_level, place.tile_index)
        return subtree_in_tile(tile, place.level_in_tile, place.index_in_tile)

    return read
