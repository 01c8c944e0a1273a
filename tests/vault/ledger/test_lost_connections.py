"""Connections that are lost around a commit: what was kept is acknowledged once, what was not is run again."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from appenders import require_checkpoints
from cutting_proxy import CuttingProxy
from ledger_vectors import refused
from ledgers import LEDGER, LedgerBench, event
from sequencing import add_person, numbers, persons, submit

from vault.errors import UnavailableError
from vault.ledger.transaction import Transaction

pytestmark = pytest.mark.engines
_PATIENCE_S = 1.0
_ANSWER_S = 3.0


@pytest.fixture
def direct(one: LedgerBench) -> LedgerBench:
    """A bench beside the network that is cut: it looks at what became of it."""
    return one


@pytest.fixture
def proxy(direct: LedgerBench, tmp_path: Path) -> Iterator[CuttingProxy]:
    assert direct.url is not None
    proxy = CuttingProxy(direct.url, tmp_path)
    yield proxy
    proxy.stop()


@pytest.fixture
def bench(direct: LedgerBench, proxy: CuttingProxy, tmp_path: Path) -> Iterator[LedgerBench]:
    bench = direct.beside(tmp_path / "behind", url=proxy.url, patience_s=_PATIENCE_S, answer_s=_ANSWER_S)
    bench.append(1)
    yield bench
    bench.stop()


@pytest.mark.parametrize("is_kept", [False, True])
def test_an_answer_that_is_lost_at_the_commit_is_found_out(
    direct: LedgerBench, bench: LedgerBench, proxy: CuttingProxy, *, is_kept: bool
) -> None:
    proxy.cut_at_commit(is_passed_on=is_kept)
    done = submit(bench, 2).result()
    assert proxy.was_cut.is_set()
    assert (done.value, done.appended[0].size) == (2, 3)
    assert (numbers(direct), persons(direct)) == ([0, 1, 2], ["2"])
    assert bench.sequencer.halted is None
    assert submit(bench, 3).result().value == 3
    require_whole_after(direct)


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_change_without_events_is_found_out_by_its_transaction(
    direct: LedgerBench, bench: LedgerBench, proxy: CuttingProxy, *, is_kept: bool
) -> None:
    proxy.cut_at_commit(is_passed_on=is_kept)
    bench.sequencer.run(lambda transaction: add_person(transaction, 7))
    assert proxy.was_cut.is_set()
    assert persons(direct) == ["7"]  # twice would have been refused


@pytest.mark.parametrize("is_kept", [False, True])
def test_an_outcome_that_cannot_be_read_in_time_halts_until_it_can(
    direct: LedgerBench, bench: LedgerBench, proxy: CuttingProxy, *, is_kept: bool
) -> None:
    proxy.cut_at_commit(is_passed_on=is_kept, stays_closed=True)
    with refused(UnavailableError, "commit-unknown"):
        submit(bench, 2).result()
    with refused(UnavailableError, "commit-unknown"):
        submit(bench, 3).result()
    direct.append(4)  # another process goes on meanwhile
    proxy.open()
    while bench.sequencer.halted is not None:
        time.sleep(0.01)
    assert submit(bench, 5).result().value == (4 if is_kept else 3)
    assert numbers(direct) == ([0, 1, 2, 4, 5] if is_kept else [0, 1, 4, 5])
    require_whole_after(direct)
    newest = bench.guard.newest(LEDGER, bench.sequencer.log(LEDGER).key)
    assert newest is not None
    assert newest.size == len(numbers(direct))


def test_a_database_that_stays_away_is_told_and_found_again(
    direct: LedgerBench, bench: LedgerBench, proxy: CuttingProxy
) -> None:
    proxy.close()
    for number in (2, 3):
        with refused(UnavailableError, "database-away"):
            submit(bench, number).result()
    assert bench.sequencer.halted is None
    proxy.open()
    assert submit(bench, 4).result().value == 2
    assert numbers(direct) == [0, 1, 4]
    assert persons(direct) == ["4"]


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
    direct: LedgerBench, bench: LedgerBench, proxy: CuttingProxy
) -> None:
    def change(transaction: Transaction) -> int:
        proxy.hangs.set()
        return transaction.append(LEDGER, event(2))

    with refused(UnavailableError, "database-away"):
        bench.sequencer.run(change, LEDGER)
    proxy.hangs.clear()
    direct.append(3)
    assert submit(bench, 4).result().value == 3
    assert numbers(direct) == [0, 1, 3, 4]


def require_whole_after(direct: LedgerBench) -> None:
    direct.sequencer.follow()
    require_checkpoints(direct, LEDGER)
