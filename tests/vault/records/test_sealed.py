"""A sealed vault takes and shows nothing; the process that takes has no key that opens anything."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import crash_load
import pytest
import stored
import vaults
from crash_load import BytesSource
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ledger_vectors import refused
from vault_secrets import secrets_of

from vault.bootstrap import open_vault
from vault.errors import RefusedError, SealedError
from vault.keys.custodian import CustodianSecret
from vault.people.persons import NewPerson
from vault.people.purpose import ViewPurpose
from vault.records.reading import Purpose
from vault.records.search import Query
from vault.records.vault import Vault
from vault.sealing.bucket_secrets import bucket_rows

SUPPORT = Path(crash_load.__file__).parent
ROOT = SUPPORT.parents[1]


def deposit(vault: Vault, key: str | None, number: int = 0) -> str:
    request = vaults.request(class_id="call_recording", subject_key=key, file_name=None)
    source = BytesSource(crash_load.sound(number, 300))
    return vault.deposits.deposit(vault.actor(vaults.MANAGER), vaults.CONTRACT, request, source).record_id


def find(vault: Vault, key: str) -> set[str]:
    page = vault.searches.search(vault.actor(vaults.MANAGER), vaults.CONTRACT, Query(subject_key=key))
    return {record["id"] for record in page.records}


@pytest.mark.both_worlds
def test_what_was_taken_while_sealed_is_found_once_the_vault_is_opened(vault: Vault) -> None:
    before = deposit(vault, "NIS-1", 1)
    vault.seal()
    sealed = [deposit(vault, "NIS-1", 2), deposit(vault, None, 3), deposit(vault, "NIS-2", 4)]
    assert len(stored.rows(vault, "SELECT * FROM index_tokens")) == 1
    assert stored.rows(vault, "SELECT count(*) FROM records WHERE NOT is_indexed") == [(3,)]
    vault.unseal(vaults.custodian())
    assert len(stored.rows(vault, "SELECT * FROM index_tokens")) == 3
    assert stored.rows(vault, "SELECT count(*) FROM records WHERE NOT is_indexed") == [(0,)]
    assert find(vault, "NIS-1") == {before, sealed[0]}
    assert find(vault, "nis-2") == {sealed[2]}
    reading = vault.readings.read(
        vault.actor(vaults.MANAGER), vaults.CONTRACT, sealed[1], Purpose(ViewPurpose.COMPLAINT)
    )
    assert b"".join(map(bytes, reading.parts())) == crash_load.sound(3, 300)


@pytest.mark.both_worlds
def test_a_vault_that_starts_sealed_takes_and_a_restart_opens_what_it_took(vault: Vault) -> None:
    vault.close()
    sealed = open_vault(vault.folder)
    assert sealed.is_sealed
    ids = {deposit(sealed, "NIS-5", number) for number in range(3)}
    sealed.close()
    opened = open_vault(vault.folder, vaults.custodian())
    assert find(opened, "NIS-5") == ids
    opened.close()


@pytest.mark.both_worlds
def test_a_sealed_vault_refuses_everything_that_needs_a_secret(vault: Vault) -> None:
    record_id = deposit(vault, "NIS-1")
    vault.seal()
    manager, admin = vault.actor(vaults.MANAGER), vault.actor(vaults.ADMIN)
    before = stored.everything(vault)
    with refused(SealedError, "vault-sealed"):
        vault.readings.read(manager, vaults.CONTRACT, record_id, Purpose(ViewPurpose.COMPLAINT))
    with refused(SealedError, "vault-sealed"):
        vault.searches.search(manager, vaults.CONTRACT, Query(subject_key="NIS-1"))
    with refused(SealedError, "vault-sealed"):
        vault.recover(admin)
    with refused(SealedError, "vault-sealed"):
        vault.open_contract(vaults.policy_text(), [NewPerson.parse("1:名前:worker")])
    assert stored.everything(vault) == before


@pytest.mark.both_worlds
def test_a_wrong_passphrase_leaves_it_sealed_and_an_opened_one_open(vault: Vault) -> None:
    wrong = CustodianSecret.from_passphrase("not this one")
    with refused(RefusedError, "custodian-secret-wrong"):
        vault.unseal(wrong)
    assert not vault.is_sealed
    vault.seal()
    with refused(RefusedError, "custodian-secret-wrong"):
        vault.unseal(wrong)
    assert vault.is_sealed


def test_open_buckets_are_forgotten_after_a_minute_and_at_sealing(vault: Vault) -> None:
    deposit(vault, "NIS-1")
    secrets = vault.buckets.secrets
    with vault.ground.engine.connect() as connection:
        [[bucket_id]] = stored.rows(vault, "SELECT bucket_id FROM records")
        [row] = bucket_rows(connection, [bucket_id]).values()
    first, start = secrets.opened(row), vault.ground.clock()
    assert secrets.opened(row) is first
    secrets._clock = lambda: start + timedelta(minutes=2)  # noqa: SLF001 - time is given
    assert secrets.opened(row) is not first
    vault.seal()
    with pytest.raises(SealedError):
        secrets.opened(row)


def test_the_process_that_takes_has_no_key_that_opens_anything_in_its_memory(vault: Vault, tmp_path: Path) -> None:
    secrets = secrets_of(vault)
    assert len(secrets) > 100
    log = vault.ground.log_of(vaults.CONTRACT)
    signing_key = vault.ground.keys._taking.signing_keys[log.signing_key_id]  # type: ignore[attr-defined]  # noqa: SLF001 - the file's
    vault.close()
    dump = tmp_path / "memory"
    # vaults.py, which the child uses for its requests, names the passphrase: it is taken out of the child's copy.
    words = vaults.PASSPHRASE
    helpers = tmp_path / "helpers"
    helpers.mkdir()
    for name in ("buckets.py", "engines.py", "vaults.py", "crash_load.py", "sealed_child.py"):
        (helpers / name).write_text((SUPPORT / name).read_text("utf-8").replace(words, "-" * len(words)), "utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(helpers)])}
    command = [sys.executable, str(helpers / "sealed_child.py"), str(vault.folder), str(dump)]
    subprocess.run(command, check=True, env=environment)
    memory = dump.read_bytes()
    # What must be there shows that the search finds: the key that signs, and what was just taken.
    assert signing_key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()) in memory
    assert crash_load.sound(2, 300)[100:400] in memory
    assert [name for name, secret in secrets.items() if secret in memory] == []
    opened = open_vault(vault.folder, vaults.custodian())
    assert stored.rows(opened, "SELECT count(*) FROM records WHERE is_indexed") == [(3,)]
    opened.close()
