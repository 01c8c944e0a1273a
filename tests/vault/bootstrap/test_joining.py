"""A further owner's folder: made only where nothing of the vault lies in the first one's."""

from pathlib import Path

import pytest
from ledger_vectors import refused
from vaults import new_vault

from vault.bootstrap import Joining, join_vault
from vault.errors import ConflictError, RefusedError
from vault.settings import (
    DatabaseSettings,
    KeySettings,
    ListenerSettings,
    Settings,
    StorageSettings,
    VaultSettings,
    read_settings,
    write_settings,
)

DATABASE = DatabaseSettings(url="postgresql://kura@db.example/kura")
STORES = StorageSettings(stores=("s3+https://a.example:443/kura", "s3+https://b.example:443/kura"))
HSM = "pkcs11:token=kura"


@pytest.fixture
def own(tmp_path: Path) -> Joining:
    return Joining(tmp_path / "second.epoch", ListenerSettings(port=8471))


def settings(tmp_path: Path, *, database: DatabaseSettings, stores: StorageSettings, hsm: str | None) -> Settings:
    made = Settings(
        vault=VaultSettings(id="0123456789abcdef", origin="kura.test/vault"),
        keys=KeySettings(epoch_dir=tmp_path / "first.epoch", auto_unseal=True, hsm=hsm),
        database=database,
        storage=stores,
        listener=ListenerSettings(port=8470),
    )
    (tmp_path / "first").mkdir()
    write_settings(tmp_path / "first", made)
    return made


def test_a_further_owner_has_the_same_engines_and_a_place_of_its_own(tmp_path: Path, own: Joining) -> None:
    first = settings(tmp_path, database=DATABASE, stores=STORES, hsm=HSM)
    join_vault(tmp_path / "second", tmp_path / "first", own)
    second = read_settings(tmp_path / "second")
    assert (second.vault, second.database, second.storage) == (first.vault, first.database, first.storage)
    assert second.keys == KeySettings(epoch_dir=tmp_path / "second.epoch", auto_unseal=False, hsm=HSM)
    assert second.listener.port == 8471
    assert sorted(path.name for path in (tmp_path / "second").iterdir()) == ["kura.toml", "ledgers"]


@pytest.mark.parametrize(
    ("database", "stores", "hsm", "what"),
    [
        (DatabaseSettings(), STORES, HSM, "kura.db"),
        (DATABASE, STORES, None, "keys/store"),
        (DATABASE, StorageSettings(stores=("objects/a",)), HSM, "objects/a"),
    ],
)
def test_what_lies_in_a_folder_has_one_owner(
    tmp_path: Path, own: Joining, database: DatabaseSettings, stores: StorageSettings, hsm: str | None, what: str
) -> None:
    settings(tmp_path, database=database, stores=stores, hsm=hsm)
    with pytest.raises(RefusedError) as caught:
        join_vault(tmp_path / "second", tmp_path / "first", own)
    assert (caught.value.code, caught.value.facts["what"]) == ("join-not-shared", what)
    assert not (tmp_path / "second").exists()


def test_an_embedded_vault_is_not_joined(tmp_path: Path, own: Joining) -> None:
    new_vault(tmp_path).close()
    with refused(RefusedError, "join-not-shared"):
        join_vault(tmp_path / "second", tmp_path / "vault", own)


def test_nothing_is_written_over(tmp_path: Path, own: Joining) -> None:
    settings(tmp_path, database=DATABASE, stores=STORES, hsm=HSM)
    with refused(ConflictError, "folder-not-empty"):
        join_vault(tmp_path / "first", tmp_path / "first", own)
