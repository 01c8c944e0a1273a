"""One ledger's head in memory, its proofs, and how its rows are written. When that happens is the sequencer's.

On a database that several processes write to, the head in memory may be behind the row's: `follow` brings it up, having
checked what the others appended as a stranger would.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, LargeBinary, bindparam, cast, insert, select, update

from vault.errors import IntegrityError, NotFoundError
from vault.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from vault.ledger.merkle import HASH_BYTES, CompactRange, inclusion_proof, leaf_hash, root_at
from vault.ledger.note import VerifierKey
from vault.ledger.receipt import Receipt
from vault.ledger.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, subtree_in_tile, tile_of_subtree
from vault.ledger.tree import GrowingTree, Subtree
from vault.storage.statement import Statement, together
from vault.storage.tables import CheckpointRow, EventRow, LedgerRow, TileRow

Sign = Callable[[bytes], bytes]

_ADD_ENTRY, _ADD_CHECKPOINT, _ADD_TILE = (Statement(insert(row)) for row in (EventRow, CheckpointRow, TileRow))
_MOVE_HEAD = Statement(
    update(LedgerRow)
    .where(LedgerRow.id == bindparam("ledger"), LedgerRow.size == bindparam("begin"))
    .values(size=bindparam("size"), compact_range=bindparam("compact_range"))
)
_THE_TILE = (
    TileRow.ledger_id == bindparam("ledger"),
    TileRow.level == bindparam("tile_level"),
    TileRow.tile_index == bindparam("index"),
)
_TILE = Statement(select(TileRow.hashes).where(*_THE_TILE))
_EXTEND_TILE = Statement(
    update(TileRow)
    .where(*_THE_TILE)
    # Without the cast SQLite makes a text of two joined blobs.
    .values(hashes=cast(TileRow.hashes.op("||")(bindparam("digest", type_=LargeBinary)), LargeBinary))
)
_ENTRIES = Statement(
    select(EventRow.entry)
    .where(EventRow.ledger_id == bindparam("ledger"))
    .where(EventRow.entry_index >= bindparam("first"), EventRow.entry_index < bindparam("end"))
    .order_by(EventRow.entry_index)
)
_COVERING = Statement(
    select(CheckpointRow.size, CheckpointRow.note)
    .where(CheckpointRow.ledger_id == bindparam("ledger"), CheckpointRow.size > bindparam("index"))
    .order_by(CheckpointRow.size)
    .limit(1)
)
_LARGEST_UP_TO = Statement(
    select(CheckpointRow.size, CheckpointRow.note)
    .where(CheckpointRow.ledger_id == bindparam("ledger"), CheckpointRow.size > bindparam("index"))
    .where(CheckpointRow.size <= bindparam("most"))
    .order_by(CheckpointRow.size.desc())
    .limit(1)
)
FOLLOWED_AT_ONCE = 4096
"""Entries that `Log.follow` reads at a time, unless one commit has more."""


@dataclass(frozen=True, slots=True)
class NextHead:
    """What a commit makes of a ledger; adopted only when it is durable."""

    compact_range: CompactRange
    completed: list[tuple[Subtree, bytes]]
    checkpoint: Checkpoint
    note: str


class Log:
    """One append-only ledger."""

    def __init__(self, engine: Engine, row: LedgerRow, sign: Sign) -> None:
        """Take up a ledger where its row says it stands; reads O(log n)."""
        self.id = row.id
        self.contract_id = row.contract_id
        self.signing_key_id = row.signing_key_id
        self.key = VerifierKey.decode(row.vkey)
        self.is_open = row.state == "open"
        self._engine = engine
        self._sign = sign
        self._adopting = threading.Lock()
        self._tree = GrowingTree(CompactRange.decode(row.size, row.compact_range), self.read_stored)

    @property
    def size(self) -> int:
        """Number of durable entries."""
        return self._tree.range.size

    def checkpoint(self) -> Checkpoint:
        """The durable head, unsigned."""
        head = self._tree.range  # taken once: a commit may put another in its place meanwhile
        return Checkpoint(self.key.name, head.size, head.root())

    def signed(self, checkpoint: Checkpoint) -> str:
        """Sign a checkpoint of this ledger: a note."""
        return sign_checkpoint(checkpoint, self.key, self._sign)

    def root_at(self, size: int) -> bytes:
        """The root that this ledger had, or has, at `size`."""
        return root_at(size, self._tree.read)

    def write_entries(self, connection: Connection, entries: list[bytes]) -> NextHead:
        """Write entries, tiles, head and signed checkpoint into the sequencer's transaction."""
        begin = self.size
        compact_range, completed = self._tree.extended(leaf_hash(entry) for entry in entries)
        head = Checkpoint(self.key.name, compact_range.size, compact_range.root())
        # Signed inside the transaction, handed out only after the commit: the note is lost with it.
        note = self.signed(head)
        rows = [{"ledger_id": self.id, "entry_index": begin + i, "entry": entry} for i, entry in enumerate(entries)]
        move = {"ledger": self.id, "begin": begin, "size": head.size, "compact_range": compact_range.encode()}
        with together(connection):
            _ADD_ENTRY.run_many(connection, rows)
            self._write_tiles(connection, completed)
            # None, not counted: on a database that others write to, too, where this row was locked and compared.
            if _MOVE_HEAD.run(connection, move) not in (1, None):
                raise IntegrityError("ledger-moved", ledger=self.id, size=begin)
            _ADD_CHECKPOINT.run(connection, {"ledger_id": self.id, "size": head.size, "note": note})
        return NextHead(compact_range, completed, head, note)

    def adopt(self, head: NextHead) -> None:
        """Take over a head that is durable now; where a follower has gone further already, nothing changes."""
        with self._adopting:
            self._tree.adopt(head.compact_range, head.completed)

    @property
    def head(self) -> CompactRange:
        """The right edge of the durable tree."""
        return self._tree.range

    def follow(self, connection: Connection, seen: CompactRange, size: int, compact_range: bytes) -> NextHead | None:
        """Bring the head in memory up to what a row says of the ledger; give that head if it was behind.

        What others appended is read and hashed, and each step must lead to a checkpoint that the ledger's key signed.

        Args:
            connection: where entries and checkpoints are read.
            seen: `head` as it was before the row was read.
            size: of the row.
            compact_range: of the row.

        Raises:
            IntegrityError: `ledger-went-back` or `ledger-beside`: the row does not continue what this process knew.
        """
        if size < seen.size:
            raise IntegrityError("ledger-went-back", ledger=self.id, size=size, known=seen.size)
        head = None
        while seen.size < size:
            head = self._step(connection, seen, size)
            self.adopt(head)
            seen = head.compact_range
        if seen.encode() != compact_range:
            raise IntegrityError("ledger-beside", ledger=self.id, known=seen.size)
        return head

    def _step(self, connection: Connection, seen: CompactRange, size: int) -> NextHead:
        """Read to a checkpoint some thousand entries on; give the head that it makes."""
        after = {"ledger": self.id, "index": seen.size}
        most = min(size, seen.size + FOLLOWED_AT_ONCE)
        found = _LARGEST_UP_TO.first(connection, after | {"most": most}) or _COVERING.first(connection, after)
        beside = IntegrityError("ledger-beside", ledger=self.id, known=seen.size)
        if found is None or found[0] > size:
            raise beside
        target, note = found
        rows = _ENTRIES.rows(connection, {"ledger": self.id, "first": seen.size, "end": target})
        reached, completed = self._tree.extended((leaf_hash(entry) for (entry,) in rows), seen)
        try:
            signed = open_checkpoint(note, self.key)
        except IntegrityError as error:
            raise beside from error
        if (reached.size, reached.root()) != (signed.size, signed.root) or signed.size != target:
            raise beside
        return NextHead(reached, completed, signed, note)

    def receipt(self, connection: Connection, index: int) -> Receipt:
        """Give the receipt of an entry, under the first checkpoint that covers it: always the same bytes.

        Raises:
            NotFoundError: there is no such entry.
        """
        entry = _ENTRIES.first(connection, {"ledger": self.id, "first": index, "end": index + 1})
        covering = _COVERING.first(connection, {"ledger": self.id, "index": index})
        if entry is None or covering is None:
            raise NotFoundError("entry-unknown", ledger=self.id, index=index)
        return self.receipt_at(entry[0], index, *covering)

    def receipt_at(self, entry: bytes, index: int, size: int, note: str) -> Receipt:
        """Prove `entry` at `index` under the checkpoint `note` of `size`."""
        return Receipt(entry, index, tuple(inclusion_proof(index, size, self._tree.read)), note)

    def published_tile(self, tile: Tile) -> bytes:
        """Give a hash tile as whoever has a checkpoint of this ledger may ask for it.

        Raises:
            NotFoundError: the durable tree is not that large.
        """
        if (tile.index * TILE_WIDTH + tile.width) << (TILE_HEIGHT * tile.level) > self.size:
            raise NotFoundError("tile-unknown", ledger=self.id)
        return self.tile(tile)

    def tile(self, tile: Tile) -> bytes:
        """Give a hash tile of the durable tree, from rows."""
        with self._engine.connect() as connection:
            return b"".join(self._leaves(connection, tile)) if tile.level == 0 else self._hashes(connection, tile)

    def _write_tiles(self, connection: Connection, completed: list[tuple[Subtree, bytes]]) -> None:
        for (level, index), digest in completed:
            if level == 0 or level % TILE_HEIGHT:
                continue
            tile_level, tile_index = level // TILE_HEIGHT, index >> TILE_HEIGHT
            if index % (1 << TILE_HEIGHT) == 0:
                tile = {"ledger_id": self.id, "level": tile_level, "tile_index": tile_index, "hashes": digest}
                _ADD_TILE.run(connection, tile)
            else:
                tile = {"ledger": self.id, "tile_level": tile_level, "index": tile_index, "digest": digest}
                _EXTEND_TILE.run(connection, tile)

    def read_stored(self, level: int, index: int) -> bytes:
        """Give the root of a complete subtree from rows."""
        tile_level, tile_index, inner_level, inner_index = tile_of_subtree(level, index)
        with self._engine.connect() as connection:
            if tile_level > 0:
                hashes = self._hashes(connection, Tile(tile_level, tile_index))
                return subtree_in_tile(hashes, inner_level, inner_index)
            leaves = self._leaves(connection, Tile(0, tile_index), inner_index << inner_level, 1 << inner_level)
            return subtree_in_tile(leaves, inner_level, 0)

    def _leaves(self, connection: Connection, tile: Tile, skip: int = 0, count: int | None = None) -> list[bytes]:
        """Leaf hashes of a level-0 tile, from `skip` on."""
        first = (tile.index << TILE_HEIGHT) + skip
        end = first + (tile.width if count is None else count)
        rows = _ENTRIES.rows(connection, {"ledger": self.id, "first": first, "end": end})
        return [leaf_hash(entry) for (entry,) in rows]

    def _hashes(self, connection: Connection, tile: Tile) -> bytes:
        """The first hashes of a tile of level 1 or more."""
        found = _TILE.first(connection, {"ledger": self.id, "tile_level": tile.level, "index": tile.index})
        if found is None:
            raise NotFoundError("entry-unknown", ledger=self.id, index=tile.index << (TILE_HEIGHT * (tile.level + 1)))
        hashes: bytes = found[0]
        return hashes[: tile.width * HASH_BYTES]
