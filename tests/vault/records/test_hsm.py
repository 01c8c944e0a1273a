"""A vault whose keys are in an HSM: it takes, shows and verifies, and outlives the HSM's being pulled out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import crash_load
import engines
import pytest
import stored
import vaults
from crash_load import BytesSource
from ledger_vectors import refused

from vault.bootstrap import open_vault, verify_vault
from vault.errors import KuraError, NotFoundError, RefusedError, UnavailableError
from vault.keys.custodian import CustodianSecret
from vault.keys.pkcs11_keystore import Pkcs11KeyStore
from vault.keys.pkcs11_uri import parse_hsm_uri
from vault.records.backup import MANIFEST, back_up
from vault.records.deposited import Deposited
from vault.records.manifest import Manifest
from vault.records.prepare import Prepared
from vault.records.restore import restore
from vault.records.vault import Vault
from vault.settings import read_settings

pytestmark = pytest.mark.engines


@pytest.fixture(params=["inside", "outside"])
def vault(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Vault]:
    vault = vaults.new_vault(tmp_path, engines_used={"hsm": engines.new_hsm(request.param)})
    assert isinstance(vault.ground.keys, Pkcs11KeyStore)
    yield vault
    vault.close()


def sound(number: int) -> bytes:
    return crash_load.sound(number, 400)


def prepare(vault: Vault, number: int) -> Prepared:
    request = vaults.request(class_id="call_recording", subject_key=f"NIS-{number}", file_name=None)
    prepared = vault.deposits.prepare(vault.actor(vaults.MANAGER), vaults.CONTRACT, request, BytesSource(sound(number)))
    assert isinstance(prepared, Prepared)
    return prepared


def take(vault: Vault, number: int) -> str:
    [done] = vault.deposits.commit([prepare(vault, number)])
    assert isinstance(done, Deposited)
    return done.record_id


def shown(vault: Vault, record_id: str) -> bytes:
    return crash_load.read(vault, vault.actor(vaults.MANAGER), record_id)


def move_tokens(vault: Vault, verb: str) -> None:
    address = parse_hsm_uri(str(read_settings(vault.folder).keys.hsm))
    for label in (address.token, address.opening_token):
        engines.run("softhsm", verb, label)


def silent(done: int, total: int) -> None:
    """Report to nobody."""


def test_a_vault_takes_shows_and_verifies_and_opens_again_with_its_custodians_only(vault: Vault) -> None:
    first = take(vault, 1)
    vault.seal()
    second = take(vault, 2)
    vault.close()
    again = open_vault(vault.folder)
    third = take(again, 3)
    with refused(RefusedError, "custodian-secret-wrong"):
        again.unseal(CustodianSecret.from_passphrase("not this one"))
    again.unseal(vaults.custodian())
    assert [shown(again, one) for one in (first, second, third)] == [sound(1), sound(2), sound(3)]
    verdict = verify_vault(vault.folder, vaults.custodian())  # beside its owner
    assert not verdict.findings, [finding.sentence("en") for finding in verdict.findings]
    again.close()


def test_a_pulled_hsm_refuses_what_is_in_flight_and_deposits_go_on_when_it_is_back(vault: Vault) -> None:
    before = take(vault, 1)
    in_flight, later = prepare(vault, 2), prepare(vault, 3)
    rows = stored.rows(vault, "SELECT count(*) FROM records")
    move_tokens(vault, "away")
    [outcome] = vault.deposits.commit([in_flight])
    assert isinstance(outcome, UnavailableError)
    assert outcome.code == "hsm-away"
    assert stored.rows(vault, "SELECT count(*) FROM records") == rows
    with pytest.raises(KuraError) as caught:
        shown(vault, before)
    assert caught.value.code in {"hsm-away", "vault-sealed"}
    assert vault.problem is None
    move_tokens(vault, "back")
    [done] = vault.deposits.commit([later])
    assert isinstance(done, Deposited)
    retried = take(vault, 2)
    assert vault.is_sealed
    vault.unseal(vaults.custodian())
    assert (shown(vault, before), shown(vault, retried)) == (sound(1), sound(2))
    vault.close()
    verdict = verify_vault(vault.folder, vaults.custodian())
    assert not verdict.findings, [finding.sentence("en") for finding in verdict.findings]


def test_a_vault_is_let_go_of_though_its_hsm_is_away(vault: Vault) -> None:
    take(vault, 1)
    move_tokens(vault, "away")
    vault.close()  # what could not be signed is published at the next start
    with refused(UnavailableError, "hsm-away"):  # not `vault-owned`: the lock is free
        open_vault(vault.folder)
    assert [finding.code for finding in verify_vault(vault.folder, vaults.custodian()).findings] == ["hsm-away"]
    move_tokens(vault, "back")
    again = open_vault(vault.folder, vaults.custodian())
    again.close()


def test_verifying_finds_a_bucket_whose_wrapped_half_was_altered(vault: Vault) -> None:
    record_id = take(vault, 1)
    vault.publish()
    [[bucket]] = stored.rows(vault, "SELECT bucket_id FROM records")
    assert verify_vault(vault.folder, vaults.custodian()).is_sound
    stored.change(vault, "UPDATE buckets SET private_wrapped = index_wrapped WHERE id = :bucket", bucket=bucket)
    found = verify_vault(vault.folder, vaults.custodian()).findings
    assert {finding.code for finding in found} == {"bucket-halves-differ"}
    assert {f"buckets/{bucket}", f"records/{record_id}"} <= {finding.what for finding in found}


def test_a_backup_holds_no_key_and_opens_with_the_same_hsm_alone(vault: Vault, tmp_path: Path) -> None:
    record = take(vault, 1)
    (tmp_path / "copy").mkdir()
    back_up(vault, vault.actor(vaults.ADMIN), tmp_path / "copy", silent)
    manifest = Manifest.decode((tmp_path / "copy" / MANIFEST).read_bytes())
    assert manifest.keys == "hsm"
    is_outside = "outside" in str(read_settings(vault.folder).keys.hsm)
    assert ("keys/store" in manifest.files) == is_outside
    vault.close()
    move_tokens(vault, "away")
    with refused(UnavailableError, "hsm-away"):
        restore(tmp_path / "copy", tmp_path / "second", tmp_path / "vault.epoch", None, silent)
    move_tokens(vault, "back")
    restore(tmp_path / "copy", tmp_path / "second", tmp_path / "vault.epoch", None, silent)
    second = open_vault(tmp_path / "second", vaults.custodian())
    assert shown(second, record) == sound(1)
    second.close()


def test_a_backup_of_another_hsm_restores_nothing(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    back_up(vault, vault.actor(vaults.ADMIN), tmp_path / "copy", silent)
    manifest = Manifest.decode((tmp_path / "copy" / MANIFEST).read_bytes())
    stranger = replace(manifest, vault_id="f" * 16)
    (tmp_path / "copy" / MANIFEST).write_bytes(stranger.encode())
    with refused(NotFoundError, "hsm-not-set-up"):
        restore(tmp_path / "copy", tmp_path / "second", tmp_path / "vault.epoch", None, silent)
    assert not (tmp_path / "second").exists()
