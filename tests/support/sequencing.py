"""Changes for a sequencer, and what became of them in the database."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from ledgers import LEDGER, LedgerBench, event
from sqlalchemy import insert, select

from vault.ledger.event import decode_entry
from vault.ledger.sequencer import Done
from vault.ledger.transaction import Transaction
from vault.storage.tables import CheckpointRow, EventRow, PersonRow


@contextmanager
def held(bench: LedgerBench) -> Iterator[None]:
    """Keep the sequencer busy, so that what is handed over meanwhile shares the next commit."""
    is_running, may_end = threading.Event(), threading.Event()

    def change(_: Transaction) -> None:
        is_running.set()
        may_end.wait()

    bench.sequencer.submit(change)
    is_running.wait()
    yield
    may_end.set()


def submit(bench: LedgerBench, number: int) -> Future[Done[int]]:
    def change(transaction: Transaction) -> int:
        add_person(transaction, number)
        return transaction.append(LEDGER, event(number))

    return bench.sequencer.submit(change, LEDGER)


def add_person(transaction: Transaction, number: int, times: int = 1) -> None:
    values = {"number": str(number), "added_at": event().at}
    transaction.connection.execute(insert(PersonRow), [values] * times)


def persons(bench: LedgerBench) -> list[str]:
    with bench.engine.connect() as connection:
        return list(connection.scalars(select(PersonRow.number).order_by(PersonRow.added_at, PersonRow.number)))


def numbers(bench: LedgerBench, ledger_id: str = LEDGER) -> list[object]:
    with bench.engine.connect() as connection:
        query = select(EventRow.entry).where(EventRow.ledger_id == ledger_id).order_by(EventRow.entry_index)
        return [decode_entry(entry).event.body["number"] for entry in connection.scalars(query)]


def commits(bench: LedgerBench) -> list[int]:
    with bench.engine.connect() as connection:
        return list(connection.scalars(select(CheckpointRow.size).order_by(CheckpointRow.size)))
