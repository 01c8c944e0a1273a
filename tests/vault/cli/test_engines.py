"""`kura` on a vault whose objects stand in buckets: doctor tries their promises, serve extends the locks."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import buckets
import pytest
import vaults
from between import Between, between
from kura_command import Kura, deposited, served

from vault.bootstrap import NewVault, create_vault
from vault.people.persons import NewPerson
from vault.settings import StorageSettings

pytestmark = pytest.mark.engines


@pytest.fixture
def way() -> Iterator[Between]:
    with between(buckets.address(), buckets.keys()["depositor"]) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Between) -> Path:
    """A vault in `home`/vault with two buckets, the first behind a way on which things can go wrong."""
    lines = (buckets.line(tmp_path, at=way.address), buckets.line(tmp_path))
    new = NewVault(
        vaults.policy_text(),
        [NewPerson.parse(text) for text in vaults.PEOPLE],
        vaults.custodian(),
        tmp_path / "vault.epoch",
        origin="kura.test/vault",
        scrypt_log2_n=4,
        storage=StorageSettings(stores=lines, engine_timeout_s=2.0),
    )
    create_vault(tmp_path / "vault", new).close()
    (tmp_path / "passphrase").write_text(vaults.PASSPHRASE + "\n")
    (tmp_path / "form.pdf").write_bytes(vaults.pdf(1))
    monkeypatch.setenv("KURA_DIR", str(tmp_path / "vault"))
    monkeypatch.setenv("KURA_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_owner_that_serves_extends_the_locks_of_what_it_takes(home: Path, kura: Kura) -> None:
    with served(home):
        deposited(kura)
        deadline = time.monotonic() + 60
        while (examined := kura("doctor", "--json")).json["locks"]["waiting"]:
            assert time.monotonic() < deadline
        assert (examined.code, examined.json["owed_copies"]) == (0, 0)
        checks = {check["check"]: check["level"] for check in examined.json["checks"]}
        assert (checks["store 1"], checks["store 2"]) == ("fine", "fine")
    assert kura("verify").code == 0


@pytest.mark.parametrize("wrong", ["clock", "locks"])
def test_an_engine_that_breaks_its_promises_is_named_and_not_served(
    home: Path, kura: Kura, kura_process: Kura, way: Between, wrong: str
) -> None:
    if wrong == "locks":
        way.ignores_locks = True
    else:
        way.shift = timedelta(seconds=60)
    code = "store-unfaithful" if wrong == "locks" else "store-clock-differs"
    examined = kura("doctor", "--json")
    [said] = [check for check in examined.json["checks"] if check["check"] == "store 1"]
    assert (examined.code, said["level"]) == (1, "wrong")
    assert kura_process("serve", "--json", "--dir", home / "vault").error_code == code


def test_no_credential_is_in_the_folder_the_settings_or_what_is_said(home: Path, kura: Kura) -> None:
    said = kura("doctor", "--json").out
    texts = [path.read_bytes() for path in (home / "vault").rglob("*") if path.is_file()]
    for access, secret in buckets.keys().values():
        for value in (access, secret):
            assert value not in said
            assert not any(value.encode() in text for text in texts)
