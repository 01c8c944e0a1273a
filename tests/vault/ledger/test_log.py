"""A ledger's proofs, receipts and tiles from rows: the same after a restart as from memory, byte for byte."""

import naive_tree
import pytest
from ledger_vectors import refused
from ledgers import LEDGER, LedgerBench
from sqlalchemy import func, select

from vault.errors import IntegrityError, NotFoundError
from vault.ledger.checkpoint import open_checkpoint
from vault.ledger.merkle import inclusion_proof
from vault.ledger.receipt import Receipt
from vault.ledger.tiles import Tile, reader_of_tiles, tiles_of
from vault.storage.tables import CheckpointRow, EventRow, TileRow


def entries(bench: LedgerBench) -> list[bytes]:
    with bench.engine.connect() as connection:
        return list(connection.scalars(select(EventRow.entry).order_by(EventRow.entry_index)))


def receipts(bench: LedgerBench, indexes: list[int]) -> list[str]:
    with bench.engine.connect() as connection:
        return [bench.sequencer.log(LEDGER).receipt(connection, index).encode() for index in indexes]


@pytest.mark.parametrize("per_commit", [1, 7, 300])
def test_receipts_are_the_same_bytes_on_every_asking_and_after_a_restart(bench: LedgerBench, per_commit: int) -> None:
    bench.append_each(range(301), per_commit)
    indexes = [0, 1, 6, 7, 255, 256, 257, 300]
    first = receipts(bench, indexes)
    assert receipts(bench, indexes) == first
    bench.append_each(range(40), 13)
    assert receipts(bench, indexes) == first
    bench.restart()
    assert receipts(bench, indexes) == first
    log = bench.sequencer.log(LEDGER)
    for index, text in zip(indexes, first, strict=True):
        receipt = Receipt.decode(text)
        checkpoint = receipt.verify(log.key)
        assert (receipt.index, receipt.entry) == (index, entries(bench)[index])
        assert checkpoint.size == min(301, (index // per_commit + 1) * per_commit)


def test_the_answer_to_a_change_holds_the_receipt_that_rows_give_later(bench: LedgerBench) -> None:
    done = bench.append(1, 2, 3)
    log = bench.sequencer.log(LEDGER)
    answered = [log.receipt_at(one.entry, one.index, one.size, one.note).encode() for one in done.appended]
    bench.restart()
    assert receipts(bench, [0, 1, 2]) == answered


def test_proofs_from_rows_equal_proofs_from_memory_and_from_the_naive_tree(bench: LedgerBench) -> None:
    bench.append_each(range(515), 103)
    for size in (1, 2, 255, 256, 257, 512, 514, 515):
        log = bench.sequencer.log(LEDGER)
        assert log.root_at(size) == naive_tree.merkle_tree_hash(entries(bench)[:size])
    bench.restart()
    log = bench.sequencer.log(LEDGER)
    every = entries(bench)
    for index in (0, 1, 254, 255, 256, 511, 512, 514):
        assert inclusion_proof(index, 515, log.read_stored) == naive_tree.path(index, every)
    for size in (1, 2, 255, 256, 257, 512, 514, 515):
        assert log.root_at(size) == naive_tree.merkle_tree_hash(every[:size])
    assert log.checkpoint().root == naive_tree.merkle_tree_hash(every)


def test_tiles_come_from_rows_at_every_width(bench: LedgerBench) -> None:
    bench.append_each(range(600), 150)
    bench.restart()
    log, every = bench.sequencer.log(LEDGER), entries(bench)
    for size in (1, 255, 256, 257, 511, 512, 513, 600):
        for tile in tiles_of(size):
            expected = b"".join(
                naive_tree.subtree(8 * tile.level, tile.index * 256 + i, every) for i in range(tile.width)
            )
            assert log.tile(tile) == expected


def test_only_full_tiles_of_higher_levels_take_rows(bench: LedgerBench) -> None:
    bench.append_each(range(255), 50)
    with bench.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(TileRow)) == 0
    bench.append_each(range(257), 100)
    with bench.engine.connect() as connection:
        rows = connection.execute(select(TileRow.level, TileRow.tile_index, TileRow.hashes)).all()
    assert [(row.level, row.tile_index, len(row.hashes)) for row in rows] == [(1, 0, 64)]


def test_tiles_of_the_log_give_the_proofs_of_the_log(bench: LedgerBench) -> None:
    bench.append_each(range(300), 64)
    log = bench.sequencer.log(LEDGER)

    def read_tile(level: int, index: int) -> bytes:
        return log.tile(Tile(level, index, min(256, (300 >> 8 * level) - 256 * index)))

    for index in (0, 255, 256, 299):
        assert inclusion_proof(index, 300, reader_of_tiles(read_tile)) == naive_tree.path(index, entries(bench))


def test_every_commit_keeps_its_signed_checkpoint(bench: LedgerBench) -> None:
    bench.append_each(range(20), 6)
    log = bench.sequencer.log(LEDGER)
    with bench.engine.connect() as connection:
        notes = connection.scalars(select(CheckpointRow.note).order_by(CheckpointRow.size)).all()
    heads = [open_checkpoint(note, log.key) for note in notes]
    assert [head.size for head in heads] == [6, 12, 18, 20]
    for head in heads:
        assert head.root == naive_tree.merkle_tree_hash(entries(bench)[: head.size])


@pytest.mark.parametrize("index", [3, 4, 1_000_000])
def test_an_entry_that_is_not_there_has_no_receipt(bench: LedgerBench, index: int) -> None:
    bench.append(1, 2, 3)
    with refused(NotFoundError, "entry-unknown"):
        receipts(bench, [index])


def test_a_tile_that_is_not_there_is_refused(bench: LedgerBench) -> None:
    bench.append(1, 2, 3)
    with refused(NotFoundError, "entry-unknown"):
        bench.sequencer.log(LEDGER).tile(Tile(1, 0, 1))


def test_an_altered_entry_no_longer_has_a_receipt_that_verifies(bench: LedgerBench) -> None:
    bench.append(1, 2, 3)
    bench.stop()
    bench.start()
    with bench.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE events SET entry = x'7b7d' WHERE entry_index = 1")
    log = bench.sequencer.log(LEDGER)
    with bench.engine.connect() as connection, refused(IntegrityError, "receipt-not-included"):
        log.receipt(connection, 1).verify(log.key)
