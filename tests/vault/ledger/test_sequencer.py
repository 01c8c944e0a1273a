"""The sequencer: shared commits, changes that fail alone, commits that fail for real, and stops that say why."""

import threading
from collections.abc import Callable
from pathlib import Path

import engines
import pytest
from ledger_vectors import refused
from ledgers import LEDGER, LedgerBench, event
from sequencing import add_person, commits, held, numbers, persons, submit
from sqlalchemy import func, select, update

from vault.errors import IntegrityError, KuraError, RefusedError, UnavailableError
from vault.ledger.transaction import Transaction
from vault.storage.database import writing
from vault.storage.tables import EventRow, LedgerRow

pytestmark = pytest.mark.both_worlds
Change = Callable[[Transaction], object]


def own_error(transaction: Transaction) -> None:
    add_person(transaction, 99)
    transaction.append(LEDGER, event(99))
    raise RefusedError("site-unknown", site="x", contract="y")


def constraint(transaction: Transaction) -> None:
    transaction.append(LEDGER, event(99))
    add_person(transaction, 99, times=2)


def anything(transaction: Transaction) -> None:
    add_person(transaction, 99)
    transaction.append(LEDGER, event(99))
    raise ZeroDivisionError


def too_large(transaction: Transaction) -> None:
    add_person(transaction, 99)
    transaction.append(LEDGER, event(99))
    transaction.append(LEDGER, event(99, text="x" * 70_000))


def sealed_statement(transaction: Transaction) -> None:
    transaction.append(LEDGER, event(99))
    transaction.connection.exec_driver_sql("INSERT INTO nowhere VALUES (1)")


def unknown_ledger(transaction: Transaction) -> None:
    add_person(transaction, 99)
    transaction.append("nowhere", event(99))


FAILING: dict[Change, str] = {
    own_error: "site-unknown",
    constraint: "commit-failed",
    anything: "commit-failed",
    too_large: "event-too-large",
    sealed_statement: "commit-failed",
    unknown_ledger: "commit-failed",
}


@pytest.mark.parametrize(("change", "code"), FAILING.items(), ids=[change.__name__ for change in FAILING])
def test_a_failing_change_takes_down_only_itself(bench: LedgerBench, change: Change, code: str) -> None:
    with held(bench):
        before = submit(bench, 1)
        failed = bench.sequencer.submit(change, LEDGER)
        after = submit(bench, 2)
    with pytest.raises(KuraError) as caught:
        failed.result()
    assert caught.value.code == code
    assert [before.result().value, after.result().value] == [0, 1]
    assert (numbers(bench), persons(bench), commits(bench)) == ([1, 2], ["1", "2"], [2])
    assert bench.sequencer.halted is None


def test_what_waits_together_shares_one_commit(bench: LedgerBench) -> None:
    with held(bench):
        answers = [submit(bench, number) for number in range(50)]
    assert [answer.result().value for answer in answers] == list(range(50))
    assert {one.note for answer in answers for one in answer.result().appended}.__len__() == 1
    assert commits(bench) == [50]


def test_a_batch_of_one_gives_each_change_its_own_commit(tmp_path: Path) -> None:
    bench = LedgerBench(tmp_path, max_batch=1).start()
    bench.open_ledger()
    with held(bench):
        answers = [submit(bench, number) for number in range(5)]
    assert [answer.result().appended[0].size for answer in answers] == [1, 2, 3, 4, 5]
    assert commits(bench) == [1, 2, 3, 4, 5]
    bench.stop()


def test_each_change_gets_back_its_own_events_in_order(bench: LedgerBench) -> None:
    with held(bench):
        answers = [bench.sequencer.submit(appender(range(n)), LEDGER) for n in (2, 0, 3)]
    indexes = [[one.index for one in answer.result().appended] for answer in answers]
    assert indexes == [[0, 1], [], [2, 3, 4]]


def appender(events: range) -> Change:
    def change(transaction: Transaction) -> None:
        for number in events:
            transaction.append(LEDGER, event(number))

    return change


def test_the_memo_forgets_what_a_failed_change_put_there(bench: LedgerBench) -> None:
    def keep(transaction: Transaction) -> object:
        seen = dict(transaction.memo)
        transaction.memo["kept"] = 1
        return seen

    def lose(transaction: Transaction) -> None:
        transaction.memo["lost"] = 1
        raise ZeroDivisionError

    with held(bench):
        first, lost, second = [bench.sequencer.submit(change) for change in (keep, lose, keep)]
    assert isinstance(lost.exception(), UnavailableError)
    assert (first.result().value, second.result().value) == ({}, {"kept": 1})
    assert bench.sequencer.run(keep).value == {}


def test_a_ledger_opened_in_a_failed_change_is_gone(bench: LedgerBench) -> None:
    log, row = bench.new_ledger("second", "kura.test/second")

    def failing(transaction: Transaction) -> None:
        transaction.open_ledger(log, row)
        transaction.append("second", event(1))
        raise ZeroDivisionError

    with held(bench):
        lost = bench.sequencer.submit(failing)
        late = bench.sequencer.submit(lambda transaction: transaction.append("second", event(2)), "second")
    assert isinstance(lost.exception(), UnavailableError)
    assert isinstance(late.exception(), UnavailableError)
    assert [log.id for log in bench.sequencer.logs()] == [LEDGER]
    with bench.engine.connect() as connection:
        assert connection.scalars(select(LedgerRow.id)).all() == [LEDGER]

    def whole(transaction: Transaction) -> None:
        transaction.open_ledger(log, row)
        transaction.append("second", event(3))

    bench.sequencer.run(whole)
    assert numbers(bench, "second") == [3]


def test_a_ledger_and_its_first_event_are_kept_together(bench: LedgerBench) -> None:
    log, row = bench.new_ledger("second", "kura.test/second")

    def change(transaction: Transaction) -> None:
        transaction.append(LEDGER, event(1))
        transaction.open_ledger(log, row)
        transaction.append("second", event(2))

    assert [one.ledger_id for one in bench.sequencer.run(change, LEDGER).appended] == [LEDGER, "second"]
    bench.restart()
    assert (numbers(bench), numbers(bench, "second")) == ([1], [2])


def test_a_closed_ledger_takes_nothing(bench: LedgerBench) -> None:
    bench.append(1)
    bench.sequencer.run(lambda transaction: transaction.connection.execute(update(LedgerRow).values(state="closed")))
    bench.restart()
    with refused(IntegrityError, "ledger-closed"):
        bench.append(2)
    assert numbers(bench) == [1]


def test_a_halted_sequencer_refuses_with_the_reason_what_waits_and_what_comes(bench: LedgerBench) -> None:
    reason = IntegrityError("ledger-went-back", ledger=LEDGER, size=1, known=2)
    with held(bench):
        waiting = submit(bench, 1)
        bench.sequencer.halt(reason)
        late = submit(bench, 2)
    assert waiting.exception() is late.exception() is bench.sequencer.halted is reason
    assert numbers(bench) == persons(bench) == []
    bench.sequencer.resume()
    assert submit(bench, 3).result().value == 0


def test_all_that_was_handed_over_is_done_before_the_end(tmp_path: Path) -> None:
    bench = LedgerBench(tmp_path, max_batch=3).start()
    bench.open_ledger()
    with held(bench):
        answers = [submit(bench, number) for number in range(20)]
    bench.stop()
    assert [answer.result().value for answer in answers] == list(range(20))


def test_many_threads_lose_nothing_and_share_commits(bench: LedgerBench) -> None:
    def work(first: int) -> None:
        for number in range(first, first + 20):
            submit(bench, number).result()

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 160, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, numbers(bench))) == sorted(map(str, range(160)))
    assert bench.sequencer.log(LEDGER).size == 160
    bench.restart()
    bench.append(1)


def test_a_guard_that_cannot_be_written_stops_everything_and_tells_nobody_yes(bench: LedgerBench) -> None:
    bench.append(0)
    guard = bench.guards / f"guard-{LEDGER}"
    bench.guard.close()
    whole = guard.read_bytes()
    guard.unlink()
    with refused(UnavailableError, "guard-unwritable"):
        submit(bench, 1).result()
    assert bench.sequencer.halted is not None
    with refused(UnavailableError, "guard-unwritable"):
        submit(bench, 2).result()
    assert numbers(bench) == [0, 1]  # durable, and found by the retry after a restart
    guard.write_bytes(whole)
    bench.restart()
    assert submit(bench, 3).result().value == 2


def test_the_guard_holds_the_checkpoint_before_anybody_is_told(bench: LedgerBench) -> None:
    for number in range(5):
        done = submit(bench, number).result()
        newest = bench.guard.newest(LEDGER, bench.sequencer.log(LEDGER).key)
        assert newest is not None
        assert newest.size >= done.appended[0].size


def test_a_change_may_append_nothing(bench: LedgerBench) -> None:
    bench.sequencer.run(lambda transaction: add_person(transaction, 1))
    assert (persons(bench), commits(bench)) == (["1"], [])
    with bench.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(EventRow)) == 0


def test_a_head_that_something_else_moved_is_not_built_upon(bench: LedgerBench) -> None:
    bench.append(0)
    with writing(bench.engine).begin() as connection:
        connection.execute(update(LedgerRow).values(size=7))
    with refused(IntegrityError, "ledger-beside" if engines.is_engines() else "ledger-moved"):
        submit(bench, 1).result()
    assert (numbers(bench), persons(bench)) == ([0], [])


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_change_that_fails_alone_or_beside_others_is_told_the_same(bench: LedgerBench, *, is_alone: bool) -> None:
    def change(transaction: Transaction) -> None:
        add_person(transaction, 1)
        transaction.append(LEDGER, event(1))
        raise RefusedError("vault-sealed")

    if is_alone:
        answers = [bench.sequencer.submit(change, LEDGER)]
        answers[0].exception()
    else:
        with held(bench):
            answers = [bench.sequencer.submit(change, LEDGER) for _ in range(2)]
    for answer in answers:
        with refused(RefusedError, "vault-sealed"):
            answer.result()
    assert (numbers(bench), persons(bench), bench.sequencer.halted) == ([], [], None)
    assert submit(bench, 2).result().value == 0
