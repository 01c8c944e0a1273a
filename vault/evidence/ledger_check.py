"""Replaying ledgers: every entry into the tree, every checkpoint, tile and head compared with what that gives."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from vault.errors import IntegrityError, KuraError
from vault.evidence.verdict import Report, Verdict
from vault.ledger.checkpoint import Checkpoint, open_checkpoint
from vault.ledger.guard import Guard
from vault.ledger.log import Log
from vault.ledger.merkle import HASH_BYTES, CompactRange, leaf_hash
from vault.ledger.note import parse_note
from vault.ledger.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    parse_tile_path,
    subtree_in_tile,
    tile_of_subtree,
    tiles_of,
)
from vault.ledger.tree import GrowingTree
from vault.storage.tables import CheckpointRow, EventRow, LedgerRow, TileRow

_ENTRIES_PER_PAGE = 4096
_UNFINISHED_SUFFIX = ".new"  # what a cut publication leaves; the next one writes over it


class Replay:
    """One ledger, entry by entry."""

    def __init__(self, connection: Connection, log: Log, row: LedgerRow, verdict: Verdict) -> None:
        """Replay the rows of `log`."""
        self._connection, self._log, self._row, self._verdict = connection, log, row, verdict
        self.size = row.size
        self._tree = GrowingTree(CompactRange(), log.read_stored)
        self._tiles: dict[tuple[int, int], bytearray] = {}
        self.roots: dict[int, bytes] = {0: self._tree.range.root()}

    def entries(self, sizes: set[int], report: Report) -> Iterator[tuple[int, bytes]]:
        """Give every entry in order, keeping the root at each of `sizes`; then compare head, tiles and checkpoints."""
        notes = self._checkpoints()
        stops = sorted(sizes | set(notes))
        done = 0
        for page in self._pages():
            stop_at = [size for size in stops if done < size < done + len(page)]
            for begin, end in zip([done, *stop_at], [*stop_at, done + len(page)], strict=True):
                self._extend(page[begin - done : end - done])
                self.roots[end] = self._tree.range.root()
            for offset, entry in enumerate(page):
                yield done + offset, entry
            done += len(page)
            report(self._log.id, done, self._row.size)
        self._verdict.counts["entries"] += done
        self._compare_head()
        self._compare_tiles()
        for size, note in notes.items():
            self._compare_checkpoint(size, note)
        if done and max(notes, default=0) != done:
            self._verdict.differs(f"ledgers/{self._log.id}/size")

    def _pages(self) -> Iterator[list[bytes]]:
        expected = 0
        while True:
            rows = self._connection.execute(
                select(EventRow.entry_index, EventRow.entry)
                .where(EventRow.ledger_id == self._log.id, EventRow.entry_index >= expected)
                .order_by(EventRow.entry_index)
                .limit(_ENTRIES_PER_PAGE)
            ).all()
            if not rows:
                return
            if [row.entry_index for row in rows] != list(range(expected, expected + len(rows))):
                self._verdict.differs(f"events/{self._log.id}/{expected}")
                return
            expected += len(rows)
            yield [row.entry for row in rows]

    def _extend(self, entries: list[bytes]) -> None:
        compact_range, completed = self._tree.extended(leaf_hash(entry) for entry in entries)
        self._tree.adopt(compact_range, completed)
        for (level, index), digest in completed:
            if level and level % TILE_HEIGHT == 0:
                key = level // TILE_HEIGHT, index >> TILE_HEIGHT
                self._tiles.setdefault(key, bytearray()).extend(digest)

    def has(self, tile: Tile, hashes: bytes) -> bool:
        """Whether these are the hashes of a tile of the replayed tree."""
        if len(hashes) != tile.width * HASH_BYTES:
            return False
        if tile.level > 0:
            return self._tiles.get((tile.level, tile.index), b"")[: len(hashes)] == hashes
        if tile.width < TILE_WIDTH:
            return self._log.tile(tile) == hashes
        # Leaves are not kept; a full tile of them is held to the hash that level 1 has of it.
        place = tile_of_subtree(TILE_HEIGHT, tile.index)
        parents = self._tiles.get((place.tile_level, place.tile_index), b"")
        begin = place.index_in_tile * HASH_BYTES
        return subtree_in_tile(hashes, TILE_HEIGHT, 0) == parents[begin : begin + HASH_BYTES]

    def _checkpoints(self) -> dict[int, str]:
        rows = select(CheckpointRow.size, CheckpointRow.note).where(CheckpointRow.ledger_id == self._log.id)
        return dict(self._connection.execute(rows).all())

    def _compare_head(self) -> None:
        head = self._tree.range
        if (head.size, head.encode()) != (self._row.size, self._row.compact_range):
            self._verdict.differs(f"ledgers/{self._log.id}/compact_range")

    def _compare_tiles(self) -> None:
        rows = select(TileRow.level, TileRow.tile_index, TileRow.hashes).where(TileRow.ledger_id == self._log.id)
        stored = {(row.level, row.tile_index): row.hashes for row in self._connection.execute(rows)}
        for key in sorted(set(stored) | set(self._tiles)):
            if stored.get(key) != self._tiles.get(key):
                self._verdict.differs(f"tiles/{self._log.id}/{key[0]}/{key[1]}")

    def _compare_checkpoint(self, size: int, note: str) -> None:
        what = f"checkpoints/{self._log.id}/{size}"
        try:
            checkpoint = open_checkpoint(note, self._log.key)
            parsed = parse_note(note)
            is_ours = len(parsed.signatures) == 1 and parsed.encode() == note
            if not is_ours or (checkpoint.size, checkpoint.root) != (size, self.roots.get(size)):
                self._verdict.differs(what)
        except KuraError as error:
            self._verdict.found(what, error)


Known = list[tuple[str, Checkpoint]]
"""What is known of a ledger outside the database: (place, checkpoint)."""


def known_sizes(log: Log, guard: Guard, published: Path, verdict: Verdict) -> Known:
    """Read what is known of a ledger outside the database: (place, checkpoint)."""
    known: Known = []
    try:
        slots = enumerate(guard.slots(log.id, log.key))
        known += [(f"guard-{log.id}/{slot}", checkpoint) for slot, checkpoint in slots if checkpoint is not None]
    except KuraError as error:
        verdict.found(f"guard-{log.id}", error)
    try:
        note = (published / "checkpoint").read_bytes()
        known.append((f"ledgers/{log.id}/checkpoint", open_checkpoint(note, log.key)))
        if parse_note(note).encode().encode() != note:
            verdict.differs(f"ledgers/{log.id}/checkpoint")
    except KuraError as error:
        verdict.found(f"ledgers/{log.id}/checkpoint", error)
    except OSError:
        verdict.found(f"ledgers/{log.id}/checkpoint", IntegrityError("file-missing", path="checkpoint"))
    return known


def compare_known(
    row: LedgerRow, known: Known, roots: Mapping[int, bytes], lost: Mapping[str, Any], verdict: Verdict
) -> None:
    """Compare the ledger with what is known outside; `lost` is what its recovery, if any, said was missing."""
    for place, checkpoint in known:
        if checkpoint.size <= row.size:
            if roots.get(checkpoint.size) != checkpoint.root:
                verdict.found(place, IntegrityError("ledger-beside", ledger=row.id, known=checkpoint.size))
        elif lost.get("size", -1) < checkpoint.size:
            error = IntegrityError("ledger-went-back", ledger=row.id, size=row.size, known=checkpoint.size)
            verdict.found(place, error)
        else:
            verdict.notes.append(f"{row.id}: entries {row.size} to {checkpoint.size} were lost, and recovered from")


def compare_published(replay: Replay, log: Log, folder: Path, published_size: int, verdict: Verdict) -> None:
    """Compare the published tiles with the ledger: those that the checkpoint needs, and whatever else lies there."""
    wanted = {tile.path() for tile in tiles_of(published_size)}
    present = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(_UNFINISHED_SUFFIX)
    } - {"checkpoint"}
    for path in sorted(wanted | present):
        what = f"ledgers/{log.id}/{path}"
        try:
            tile = parse_tile_path(path)
            stored = (folder / path).read_bytes()
            if _is_beyond(tile, replay.size):
                if path not in wanted or log.is_open:
                    verdict.differs(what)
            elif not replay.has(tile, stored):
                verdict.differs(what)
        except KuraError as error:
            verdict.found(what, error)
        except OSError:
            verdict.found(what, IntegrityError("file-missing", path=path))
        verdict.counts["published tiles"] += 1


def _is_beyond(tile: Tile, size: int) -> bool:
    """Whether a tile holds hashes that a tree of `size` leaves does not have."""
    return ((tile.index << TILE_HEIGHT) + tile.width) << (TILE_HEIGHT * tile.level) > size
