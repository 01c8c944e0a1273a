"""The sequencer on a file: disks that are full, and a file that is away when it is asked what became of a commit."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from ledger_vectors import refused
from ledgers import LEDGER, LedgerBench, event
from sequencing import held, numbers, persons, submit
from sqlalchemy import insert

from vault.errors import KuraError, UnavailableError
from vault.ledger.transaction import Transaction
from vault.storage.tables import EventPartRow, PersonRow


@contextmanager
def files_may_not_grow_beyond(size: int) -> Iterator[None]:
    """Let the kernel refuse every write of this process beyond `size` bytes into a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_commit_that_the_disk_refuses_keeps_nothing_and_the_next_one_goes_on(bench: LedgerBench) -> None:
    bench.append(0)
    with files_may_not_grow_beyond(bench.database.with_name("kura.db-wal").stat().st_size):
        with held(bench):
            answers = [submit(bench, 1), submit(bench, 2)]
        codes = [error.code for answer in answers if isinstance(error := answer.exception(), KuraError)]
    assert codes == ["commit-failed"] * 2
    assert (numbers(bench), persons(bench), bench.sequencer.halted) == ([0], [], None)
    assert submit(bench, 3).result().value == 1
    bench.restart()
    assert (numbers(bench), persons(bench)) == ([0, 3], ["3"])


def test_a_database_that_gives_up_the_whole_transaction_takes_down_every_change_of_it(bench: LedgerBench) -> None:
    """SQLite may roll back all of a transaction when its disk is full: what went before in it must not be answered."""
    bench.append(0)

    def fill(transaction: Transaction) -> None:
        raw = transaction.connection.exec_driver_sql
        pages = raw("PRAGMA page_count").scalar_one()
        raw(f"PRAGMA max_page_count = {pages + 2}")
        try:
            values = [{"number": f"full-{number}", "added_at": event().at} for number in range(5_000)]
            transaction.connection.execute(insert(PersonRow), values)
        finally:
            raw("PRAGMA max_page_count = 1073741823")

    with held(bench):
        before, full, after = submit(bench, 1), bench.sequencer.submit(fill), submit(bench, 2)
    assert isinstance(full.exception(), UnavailableError)
    answered = [number for number, answer in ((1, before), (2, after)) if answer.exception() is None]
    assert numbers(bench) == [0, *answered]
    assert persons(bench) == [str(number) for number in answered]
    assert submit(bench, 3).result().value == len(answered) + 1
    bench.restart()
    assert numbers(bench) == [0, *answered, 3]


def test_a_commit_whose_outcome_nobody_can_tell_stops_everything(bench: LedgerBench) -> None:
    """The commit fails, and the database file is away when it is asked what became of it."""
    bench.append(0)
    away = bench.database.with_name("away.db")

    def change(transaction: Transaction) -> None:
        transaction.append(LEDGER, event(1))
        transaction.connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")  # what is wrong is found at the commit
        no_such_entry = {"ledger_id": LEDGER, "entry_index": 99, "envelope_id": "e", "sealed": b""}
        transaction.connection.execute(insert(EventPartRow), [no_such_entry])
        bench.engine.dispose()  # whoever asks afterwards needs a new connection
        bench.database.rename(away)

    with refused(UnavailableError, "commit-unknown"):
        bench.sequencer.run(change, LEDGER)
    for _ in range(2):
        with refused(UnavailableError, "commit-unknown"):
            submit(bench, 2).result()
    away.rename(bench.database)
    bench.restart()
    assert numbers(bench) == [0]
    assert submit(bench, 3).result().value == 1
