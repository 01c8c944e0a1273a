"""Persons: how they are named, what is refused, and what the ledger says of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import stored
import vaults
from ledger_vectors import refused

from retention.roles import Role
from vault.errors import ConflictError, RefusedError
from vault.ledger.event import EventKind
from vault.people.persons import NewPerson
from vault.records.vault import Vault


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = vaults.new_vault(tmp_path)
    yield vault
    vault.close()


def test_a_person_is_read_from_number_name_and_role() -> None:
    assert NewPerson.parse("1001:山田 花子:worker") == NewPerson("1001", "山田 花子", Role.WORKER)
    assert NewPerson.parse("A-1: 名前：と:コロン :worker").name == "名前：と:コロン"


MALFORMED = [
    "",
    "1001",
    "1001:worker",
    ":名前:worker",
    "1 001:名前:worker",
    "../1:名前:worker",
    "1001: :worker",
    "1001::worker",
    "1001:" + "名" * 65 + ":worker",
    "x" * 33 + ":名前:worker",
    "１００１:名前:worker",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_what_names_nobody_is_refused(text: str) -> None:
    with refused(RefusedError, "person-malformed"):
        NewPerson.parse(text)


@pytest.mark.parametrize("role", ["", "root", "Worker", "counter"])
def test_an_unknown_role_is_refused(role: str) -> None:
    with refused(RefusedError, "role-unknown"):
        NewPerson.parse(f"1001:名前:{role}")


def test_names_are_sealed_and_numbers_are_in_the_ledger(vault: Vault) -> None:
    vault.add_person(vault.actor(vaults.ADMIN), vaults.CONTRACT, NewPerson.parse("7001:小林六郎:worker"))
    event = stored.events(vault, vaults.CONTRACT, EventKind.ROLE_GRANTED)[-1]
    assert (event.actor, event.body) == (
        "person:9001",
        {"contract": vaults.CONTRACT, "number": "7001", "role": "worker"},
    )
    assert vault.actor("7001").roles == ((vaults.CONTRACT, "worker"),)
    vault.close()
    for path in vault.folder.rglob("kura.db*"):
        assert "小林".encode() not in path.read_bytes()


@pytest.mark.both_worlds
def test_a_second_role_adds_up_and_the_same_role_is_a_conflict(vault: Vault) -> None:
    admin = vault.actor(vaults.ADMIN)
    vault.add_person(admin, vaults.CONTRACT, NewPerson.parse("1001:山田花子:site_leader"))
    assert vault.actor("1001").roles_in(vaults.CONTRACT) == {"scan_operator", "site_leader"}
    before = stored.everything(vault)
    with refused(ConflictError, "role-held"):
        vault.add_person(admin, vaults.CONTRACT, NewPerson.parse("1001:山田花子:site_leader"))
    assert stored.everything(vault) == before


def test_only_who_may_grant_grants(vault: Vault) -> None:
    before = stored.everything(vault)
    with refused(RefusedError, "not-allowed"):
        vault.add_person(vault.actor(vaults.OPERATOR), vaults.CONTRACT, NewPerson.parse("8:名前:vault_admin"))
    assert stored.everything(vault) == before
