"""Numbers of stations: gaps are named, a number belongs to one record, and people are not counted."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import stored
import vaults
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import refused
from station_keys import signing_request

from retention.roles import StationKind
from vault.errors import ConflictError
from vault.people.actor import Actor
from vault.people.stations import Station
from vault.records.numbering import Numbers, numbers_of
from vault.records.order import Order
from vault.records.vault import Vault

COUNTER = Station("counter-1", StationKind.COUNTER, vaults.CONTRACT)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = vaults.new_vault(tmp_path)
    vault.enrolment.enrol(vault.actor(vaults.MANAGER), COUNTER, signing_request())
    yield vault
    vault.close()


def send(vault: Vault, tmp_path: Path, sequence: int | None, actor: Actor | None = None, **fields: object) -> bool:
    request = vaults.request(sequence=sequence, **fields)
    taken = vault.deposits.deposit(
        actor or COUNTER.actor(), vaults.CONTRACT, request, vaults.source(vaults.pdf(), tmp_path)
    )
    return taken.is_new


def numbers(vault: Vault) -> Numbers:
    [enrolled] = vault.enrolment.enrolled(vault.actor(vaults.MANAGER), vaults.CONTRACT)
    return enrolled.numbers


@given(st.sets(st.integers(1, 60)))
def test_what_is_missing_is_what_was_left_out(arrived: set[int]) -> None:
    found = numbers_of(sorted(arrived))
    newest = max(arrived, default=0)
    missing = list(itertools.chain.from_iterable(range(first, last + 1) for first, last in found.missing))
    assert (found.newest, found.arrived) == (newest, len(arrived))
    assert missing == sorted(set(range(1, newest + 1)) - arrived)
    assert found.is_complete == (not missing)


@pytest.mark.both_worlds
def test_gaps_are_named_and_close_when_the_record_comes(vault: Vault, tmp_path: Path) -> None:
    assert numbers(vault) == Numbers(0, 0, [])
    for number in (1, 2, 5, 9):
        send(vault, tmp_path, number)
    assert numbers(vault) == Numbers(9, 4, [(3, 4), (6, 8)])
    for number in (7, 3, 4):
        send(vault, tmp_path, number)
    assert numbers(vault) == Numbers(9, 7, [(6, 6), (8, 8)])


def test_a_first_number_that_is_not_one_shows_what_is_missing_before_it(vault: Vault, tmp_path: Path) -> None:
    send(vault, tmp_path, 4)
    assert numbers(vault).missing == [(1, 3)]


@pytest.mark.both_worlds
def test_a_number_belongs_to_one_record(vault: Vault, tmp_path: Path) -> None:
    send(vault, tmp_path, 1)
    with refused(ConflictError, "sequence-taken"):
        send(vault, tmp_path, 1)
    assert len(stored.objects(vault)) == 1
    assert numbers(vault) == Numbers(1, 1, [])


def test_the_same_record_again_is_no_conflict(vault: Vault, tmp_path: Path) -> None:
    wanted, content = vaults.request(sequence=1), vaults.pdf()
    for is_new in (True, False):
        taken = vault.deposits.deposit(COUNTER.actor(), vaults.CONTRACT, wanted, vaults.source(content, tmp_path))
        assert taken.is_new is is_new


@pytest.mark.both_worlds
def test_of_two_records_with_one_number_in_one_commit_one_is_taken(vault: Vault, tmp_path: Path) -> None:
    orders = [
        Order(
            COUNTER.actor(),
            vaults.CONTRACT,
            vaults.request(sequence=7),
            lambda: vaults.source(vaults.pdf(), tmp_path),
        )
        for _ in range(2)
    ]
    prepared = vault.deposits.prepare_many(orders)
    first, second = vault.deposits.commit(prepared)  # type: ignore[arg-type]  # both are prepared
    assert not isinstance(first, ConflictError)
    assert isinstance(second, ConflictError)
    assert len(stored.objects(vault)) == 1


@pytest.mark.both_worlds
def test_stations_count_for_themselves_and_people_do_not_count(vault: Vault, tmp_path: Path) -> None:
    other = Station("counter-2", StationKind.COUNTER, vaults.CONTRACT)
    vault.enrolment.enrol(vault.actor(vaults.MANAGER), other, signing_request())
    clerk = vault.actor(vaults.OPERATOR)
    for actor in (COUNTER.actor(), other.actor(), clerk, clerk):
        assert send(vault, tmp_path, 1, actor)
    send(vault, tmp_path, None)
    enrolled = vault.enrolment.enrolled(vault.actor(vaults.MANAGER), vaults.CONTRACT)
    assert [one.numbers for one in enrolled] == [Numbers(1, 1, []), Numbers(1, 1, [])]
