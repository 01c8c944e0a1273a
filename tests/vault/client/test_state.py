"""Numbers are durable, bound to one record each, and leave no gap behind a kill -9."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ledger_vectors import refused

from vault.client.answers import Taken
from vault.client.state import State, Status
from vault.errors import UnavailableError
from vault.ledger.checkpoint import Checkpoint, open_checkpoint
from vault.ledger.receipt import Receipt

if TYPE_CHECKING:
    from tests.vault.client.conftest import City

CHILD = """
import sys
from pathlib import Path
from vault.client.state import State
state, spooled = State(Path(sys.argv[1])), 0
for line in range(100_000):
    number = state.claim("application_form", f"key-{line % 40}" if line % 2 else None)
    print("claimed", number.sequence, number.record_id, number.key, flush=True)
    if line % 3 == 0:
        state.mark_spooled(number.record_id)
        print("spooled", number.sequence, number.record_id, number.key, flush=True)
    elif line % 5 == 0:
        state.free(number.record_id)
        print("freed", number.sequence, number.record_id, number.key, flush=True)
"""


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "station.db")


def taken(city: "City", record_id: str, sequence: int = 1) -> Taken:
    receipt = Receipt.decode(city.receipt({"record": record_id, "sequence": sequence}))
    return Taken(record_id, receipt, open_checkpoint(receipt.checkpoint, city.key), is_new=True, is_compared=True)


def test_numbers_begin_at_one_and_follow_each_other(state: State) -> None:
    assert [state.claim("application_form").sequence for _ in range(5)] == [1, 2, 3, 4, 5]


def test_each_number_has_a_record_id_of_its_own(state: State) -> None:
    assert len({state.claim("application_form").record_id for _ in range(50)}) == 50


def test_a_key_gets_the_same_number_again_after_a_restart(state: State, tmp_path: Path) -> None:
    first = state.claim("application_form", "scan-1")
    state.claim("application_form", "scan-2")
    state.close()
    assert State(tmp_path / "station.db").claim("application_form", "scan-1") == first


def test_a_freed_number_is_the_next_one_given_out(state: State) -> None:
    numbers = [state.claim("application_form") for _ in range(4)]
    state.free(numbers[2].record_id)
    state.free(numbers[1].record_id)
    given = [state.claim("call_recording", key) for key in ("a", None, None)]
    assert [number.sequence for number in given] == [2, 3, 5]
    assert {number.record_id for number in given}.isdisjoint(number.record_id for number in numbers)


def test_only_open_numbers_are_freed(state: State, city: "City") -> None:
    one, two = state.claim("application_form"), state.claim("application_form")
    state.mark_spooled(one.record_id)
    state.keep(taken(city, two.record_id))
    for number in (one, two):
        state.free(number.record_id)
    assert state.claim("application_form").sequence == 3
    assert (state.numbers().spooled, state.numbers().taken, state.numbers().free) == (1, 1, 0)


def test_a_forgotten_key_leaves_the_number_open(state: State) -> None:
    number = state.claim("application_form", "scan-1")
    state.forget_key(number.record_id)
    assert [(left.sequence, left.key) for left in state.open_numbers()] == [(1, None)]
    assert state.claim("application_form", "scan-1").sequence == 2


def test_a_renumbered_record_keeps_id_and_key_and_the_old_number_is_never_given_out(state: State) -> None:
    number = state.claim("application_form", "scan-1")
    for newest, sequence in ((0, 2), (2, 3), (40, 41)):
        again = state.renumber(number, newest)
        assert (again.sequence, again.record_id, again.key) == (sequence, number.record_id, "scan-1")
        assert state.claim("application_form", "scan-1") == again
        number = again
    assert state.claim("application_form").sequence == 42
    assert (state.numbers().used, state.numbers().newest) == (3, 42)


def test_a_refused_spool_stays_a_gap(state: State) -> None:
    number = state.claim("application_form")
    state.mark_spooled(number.record_id)
    state.mark_used(number.record_id)
    assert state.claim("application_form").sequence == 2
    assert state.number_of(number.record_id) is None


def test_receipts_are_kept_and_the_largest_checkpoint_is_shown(state: State, city: "City") -> None:
    first, second = (taken(city, state.claim("application_form").record_id, place) for place in (1, 2))
    state.keep(second)
    state.keep(first)
    assert state.checkpoint == second.receipt.checkpoint
    assert state.receipt(first.record_id) == first.receipt.encode()
    assert state.receipt("other") is None
    assert state.numbers().taken == 2


def test_a_receipt_of_a_record_from_before_the_state_was_lost_is_kept(state: State, city: "City") -> None:
    lost = taken(city, "01932b0e-3c00-7abc-8def-0123456789ab")
    state.keep(lost)
    assert state.receipt(lost.record_id) == lost.receipt.encode()
    assert state.numbers().newest == 0


def test_a_damaged_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "station.db").write_bytes(b"not a database" * 100)
    with refused(UnavailableError, "state-failed"):
        State(tmp_path / "station.db")


def test_checkpoints_are_compared_by_size_not_as_text(state: State, city: "City") -> None:
    nine = taken(city, "a")
    ten = taken(city, "b")
    state.keep(Taken("a", nine.receipt, Checkpoint("x", 9, bytes(32)), is_new=True, is_compared=True))
    state.keep(Taken("b", ten.receipt, Checkpoint("x", 10, bytes(32)), is_new=True, is_compared=True))
    assert state.checkpoint == ten.receipt.checkpoint


def kill_a_child(path: Path, lines: int) -> list[list[str]]:
    """Let a child work on a state and kill it after some lines; give what it had said by then."""
    with subprocess.Popen([sys.executable, "-c", CHILD, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline().split() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        said += [line.split() for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    assert child.returncode == -signal.SIGKILL
    return said


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment_every_number_said_is_bound_as_it_was_said(tmp_path: Path, seed: int) -> None:
    path, said = tmp_path / "station.db", list[list[str]]()
    for _ in range(3):
        said += kill_a_child(path, random.Random(seed).randint(1, 60))
    state, last = State(path), {}
    for verb, sequence, record_id, key in said:
        last[int(sequence)] = verb, record_id, key
    bound = Counter(record_id for verb, record_id, _ in last.values() if verb != "freed")
    assert set(bound.values()) <= {1}
    behind = 0
    for place, (verb, record_id, _) in last.items():
        number = state.number_of(record_id)
        if verb == "freed":
            assert number is None
        elif number is None or number.sequence != place:
            behind += 1  # it was freed, and the kill came before that was said
        else:
            assert number.status in (Status.OPEN, Status.SPOOLED)
    assert behind <= 3
    newest = state.numbers().newest
    state_has = {number.sequence for number in state.open_numbers()}
    assert newest >= max(last)
    assert state_has <= set(range(1, newest + 1))
    state.close()
