"""Several processes append to the ledgers of one database: real ones, killed, held up, and robbed of their server."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import engines
import pytest
from appenders import Appender, appender, require_whole
from ledgers import LEDGER, LedgerBench
from sequencing import numbers

from vault.ledger.transaction import Transaction

pytestmark = pytest.mark.engines
SECOND = "second"
BOTH = (LEDGER, SECOND)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[LedgerBench]:
    bench = opened(LedgerBench(tmp_path / "here"))
    yield bench
    bench.stop()


def opened(bench: LedgerBench) -> LedgerBench:
    bench.start()
    bench.open_ledger()
    bench.open_ledger(SECOND, "kura.test/second")
    return bench


def run_together(*processes: Appender) -> None:
    for process in processes:
        process.ready()
    for process in processes:
        process.tell("go")


def test_two_processes_append_to_the_same_ledgers_and_everything_holds(bench: LedgerBench, tmp_path: Path) -> None:
    one = appender(bench, tmp_path / "one", 0, 40, ledgers=BOTH, threads=3)
    two = appender(bench, tmp_path / "two", 1000, 40, ledgers=BOTH, threads=3)
    run_together(one, two)
    one.finish(), two.finish()
    assert len(one.acknowledged) == len(two.acknowledged) == 120
    assert one.refusals == two.refusals == []
    require_whole(bench, BOTH, one, two)


def test_processes_on_ledgers_of_their_own_do_not_wait_for_each_other(bench: LedgerBench, tmp_path: Path) -> None:
    """One ledger's head is held by a change that does not end; the other's goes on."""
    is_held, may_end = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        is_held.set()
        may_end.wait()

    held = bench.sequencer.submit(hold, SECOND)
    is_held.wait()
    one = appender(bench, tmp_path / "one", 0, 20, ledgers=(LEDGER,))
    run_together(one)
    one.finish()
    assert not held.done()
    may_end.set()
    held.result()
    assert len(one.acknowledged) == 20
    require_whole(bench, (LEDGER,), one)


def test_each_process_gets_its_turn(bench: LedgerBench, tmp_path: Path) -> None:
    one = appender(bench, tmp_path / "one", 0, 200, ledgers=(LEDGER,))
    two = appender(bench, tmp_path / "two", 1000, 200, ledgers=(LEDGER,))
    run_together(one, two)
    one.finish(), two.finish()
    order = [int(str(number)) < 1000 for number in numbers(bench)]
    # Both were at it from the first entry of the later one to the last of the earlier one.
    begin = max(order.index(True), order.index(False))
    end = min(len(order) - order[::-1].index(True), len(order) - order[::-1].index(False))
    contended = order[begin:end]
    share = sum(contended) / len(contended)
    assert len(contended) >= 200
    assert 0.25 < share < 0.75
    longest, run, before = 0, 0, None
    for mine in contended:
        run = run + 1 if mine == before else 1
        longest, before = max(longest, run), mine
    assert longest <= 20  # nobody waits while the other appends and appends


def test_a_process_that_is_killed_leaves_nothing_half_done(bench: LedgerBench, tmp_path: Path) -> None:
    one = appender(bench, tmp_path / "one", 0, 400, ledgers=BOTH, threads=2)
    two = appender(bench, tmp_path / "two", 2000, 25, ledgers=BOTH, threads=2)
    run_together(one, two)
    one.wait_for(30)
    one.kill()
    one.finish(), two.finish()
    assert len(two.acknowledged) == 50
    assert two.refusals == []
    require_whole(bench, BOTH, one, two)
    again = appender(bench, tmp_path / "one", 4000, 10, ledgers=BOTH)  # the same folder, with the guards it has
    run_together(again)
    require_whole(bench, BOTH, one, two, again.finish())


def test_a_process_that_stands_still_holds_the_others_up_for_a_while_only(bench: LedgerBench, tmp_path: Path) -> None:
    one = appender(bench, tmp_path / "one", 0, 60, ledgers=(LEDGER,), threads=3, patience_s=6)
    two = appender(bench, tmp_path / "two", 2000, 60, ledgers=(LEDGER,))
    run_together(one, two)
    one.wait_for(30)
    one.kill(signal.SIGSTOP)  # wherever it is, holding the head or waiting for it
    two.finish()
    assert len(two.acknowledged) == 60
    one.kill(signal.SIGCONT)
    one.finish()
    assert len(one.acknowledged) == 180
    require_whole(bench, (LEDGER,), one, two)


@pytest.fixture
def _server() -> Iterator[None]:
    with engines.own_postgresql():
        yield


@pytest.mark.usefixtures("_server")
@pytest.mark.parametrize("away", ["kill", "stop", "pause"])
def test_a_database_that_goes_and_comes_back_loses_and_doubles_nothing(tmp_path: Path, away: str) -> None:
    bench = opened(LedgerBench(tmp_path / "here"))
    one = appender(bench, tmp_path / "one", 0, 25, ledgers=BOTH, threads=3)
    two = appender(bench, tmp_path / "two", 2000, 25, ledgers=BOTH, threads=3)
    run_together(one, two)
    for count in (15, 45):
        one.wait_for(count)
        engines.run("postgresql", away)
        engines.run("postgresql", "resume" if away == "pause" else "start")
    one.finish(), two.finish()
    assert len(one.acknowledged) == len(two.acknowledged) == 75
    assert one.refusals == two.refusals == []  # within the patience nobody is told of it
    assert [one.lines[-1]["halted"], two.lines[-1]["halted"]] == [None, None]
    bench.restart()
    require_whole(bench, BOTH, one, two)
    bench.stop()
