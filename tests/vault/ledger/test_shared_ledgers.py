"""Ledgers that others append to: taken up, followed, checked; and what a tampered database is told apart by."""

import threading
from collections.abc import Iterator
from pathlib import Path

import engines
import pytest
from ledger_vectors import refused
from ledgers import LEDGER, LedgerBench, event
from sequencing import numbers, persons
from sqlalchemy import insert, select, update

from vault.errors import ConflictError, IntegrityError
from vault.ledger.event import encode_entry
from vault.ledger.log import FOLLOWED_AT_ONCE
from vault.ledger.merkle import CompactRange, leaf_hash
from vault.ledger.transaction import Transaction
from vault.storage.database import writing
from vault.storage.tables import CheckpointRow, EventRow, LedgerRow, PersonRow

pytestmark = pytest.mark.engines


@pytest.fixture
def two(one: LedgerBench, tmp_path: Path) -> Iterator[LedgerBench]:
    bench = one.beside(tmp_path / "two")
    yield bench
    bench.stop()


def test_each_continues_what_the_other_appended(one: LedgerBench, two: LedgerBench) -> None:
    for number in range(1, 9):
        (one, two)[number % 2].append(number)
    assert numbers(one) == list(range(9))
    assert two.sequencer.log(LEDGER).size + one.sequencer.log(LEDGER).size == 9 + 8


def test_a_reader_follows_and_guards_what_it_has_seen(one: LedgerBench, two: LedgerBench) -> None:
    one.append(1, 2, 3)
    assert two.sequencer.log(LEDGER).size == 1
    two.sequencer.follow()
    assert two.sequencer.log(LEDGER).checkpoint() == one.sequencer.log(LEDGER).checkpoint()
    two.restart()  # all that was to be guarded is, when it has stopped
    newest = two.guard.newest(LEDGER, two.sequencer.log(LEDGER).key)
    assert newest == one.sequencer.log(LEDGER).checkpoint()


def test_a_ledger_that_another_opened_is_taken_up_and_guarded(one: LedgerBench, two: LedgerBench) -> None:
    one.open_ledger("second", "kura.test/second")
    two.append(1, ledger_id="second")
    assert two.guard.newest("second", two.sequencer.log("second").key) is not None
    one.append(2, ledger_id="second")
    assert numbers(one, "second") == [1, 2]


def test_one_that_is_far_behind_reads_before_it_locks(one: LedgerBench, two: LedgerBench) -> None:
    one.append(*range(1, FOLLOWED_AT_ONCE + 100))
    one.append_each(range(10_000, 10_000 + 50), 10)
    two.append(7)
    assert two.sequencer.log(LEDGER).size == FOLLOWED_AT_ONCE + 151
    assert two.sequencer.halted is None


def test_who_is_second_with_a_key_is_refused_by_its_own_words(one: LedgerBench, two: LedgerBench) -> None:
    """Both look before they write; the second to write finds what the first wrote when it looks again."""
    one.open_ledger("second", "kura.test/second")
    first_wrote, second_looked = threading.Event(), threading.Event()

    def add(transaction: Transaction, ledger_id: str) -> int:
        if transaction.connection.scalar(select(PersonRow.number).where(PersonRow.number == "1")) is not None:
            raise ConflictError("role-held", number="1", role="x")
        if ledger_id == "second":
            second_looked.set()
            first_wrote.wait()
        transaction.connection.execute(insert(PersonRow), [{"number": "1", "added_at": event().at}])
        if ledger_id == LEDGER:
            second_looked.wait()
            first_wrote.set()
        return transaction.append(ledger_id, event(1))

    late = two.sequencer.submit(lambda transaction: add(transaction, "second"), "second")
    second_looked.wait()
    one.sequencer.run(lambda transaction: add(transaction, LEDGER), LEDGER)
    with refused(ConflictError, "role-held"):
        late.result()
    assert (persons(one), numbers(one, "second")) == (["1"], [])


def append_without_the_key(bench: LedgerBench, *, note: str | None) -> None:
    """What a database's administrator can do: a whole ledger, but for the signature."""
    entry = encode_entry(event(99))
    with writing(bench.engine).begin() as connection:
        row = connection.execute(select(LedgerRow.size, LedgerRow.compact_range).where(LedgerRow.id == LEDGER)).one()
        moved = CompactRange.decode(row.size, row.compact_range).extend([leaf_hash(entry)])
        connection.execute(insert(EventRow), [{"ledger_id": LEDGER, "entry_index": row.size, "entry": entry}])
        values = {"size": moved.size, "compact_range": moved.encode()}
        connection.execute(update(LedgerRow).where(LedgerRow.id == LEDGER).values(**values))
        if note is not None:
            connection.execute(insert(CheckpointRow), [{"ledger_id": LEDGER, "size": moved.size, "note": note}])


@pytest.mark.parametrize("has_note", [False, True])
def test_what_was_appended_without_the_key_halts(one: LedgerBench, two: LedgerBench, *, has_note: bool) -> None:
    older = two.sequencer.log(LEDGER)
    append_without_the_key(one, note=older.signed(older.checkpoint()) if has_note else None)
    with refused(IntegrityError, "ledger-beside"):
        one.append(1)
    with refused(IntegrityError, "ledger-beside"):
        two.sequencer.follow()
    for bench in (one, two):
        assert bench.sequencer.halted is not None
        with refused(IntegrityError, "ledger-beside"):
            bench.append(2)
    assert numbers(one) == [0, 99]


@pytest.mark.parametrize("is_reader", [False, True])
def test_a_database_that_went_back_halts(one: LedgerBench, two: LedgerBench, *, is_reader: bool) -> None:
    with one.engine.connect() as connection:
        before = connection.execute(select(LedgerRow.size, LedgerRow.compact_range)).one()
    one.append(1)
    two.append(2)
    engines.put_back_head(one.engine.url.database or "", LEDGER, before.size, before.compact_range)
    with refused(IntegrityError, "ledger-went-back"):
        two.sequencer.follow() if is_reader else two.append(3)
    assert two.sequencer.halted is not None
    assert numbers(one) == [0, 1, 2]


def test_a_head_of_the_same_size_with_another_root_halts(one: LedgerBench, two: LedgerBench) -> None:
    with writing(one.engine).begin() as connection:
        connection.execute(update(LedgerRow).values(compact_range=bytes(32)))
    with refused(IntegrityError, "ledger-beside"):
        two.append(3)
    assert two.sequencer.halted is not None
