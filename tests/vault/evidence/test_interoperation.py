"""What others make of a vault's files: Tink opens its objects, an independent Merkle tree gives its roots."""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pymerkle
import pytest
import tink
from full_vault import FullVault, make_full_vault
from segments import open_segment
from sqlalchemy import select
from tink_streams import tink_primitive
from vaults import CONTRACT, custodian

from vault.bootstrap import open_vault
from vault.errors import IntegrityError
from vault.records.opening import opener_for, read_records
from vault.records.vault import Vault
from vault.sealing.associated_data import object_associated_data
from vault.sealing.layout import OBJECT_LAYOUT
from vault.sealing.stream import SegmentOpener
from vault.storage.tables import EventRow, RecordRow


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> FullVault:
    return make_full_vault(tmp_path_factory.mktemp("interoperation"))


@pytest.fixture
def vault(full: FullVault) -> Iterator[Vault]:
    opened = open_vault(full.folder, custodian())
    yield opened
    opened.close()


def export(vault: Vault) -> list[tuple[Path, bytes, bytes, bytes]]:
    """Give (object file, data key, associated data, SHA-256) of every record."""
    with vault.ground.engine.connect() as connection:
        records = read_records(connection, list(connection.scalars(select(RecordRow.id))))
        opener = opener_for(connection, vault.buckets.secrets, records.values())
    exported = []
    for record_id, record in records.items():
        opened, stored = opener.open(record), record.objects[0]
        bound_to = object_associated_data(CONTRACT, record_id, stored["component"], stored["version"])
        folder = vault.folder / "objects" / "ab"[record.copies()[0].store]
        path = folder / stored["name"][:2] / stored["name"]
        exported.append((path, opened.data_key, bound_to, opened.metadata.digest))
    return exported


def test_tink_opens_every_object_with_the_exported_data_key(vault: Vault) -> None:
    exported = export(vault)
    assert len(exported) == 17
    for path, data_key, bound_to, digest in exported:
        with tink_primitive(data_key).new_decrypting_stream(io.BytesIO(path.read_bytes()), bound_to) as stream:
            assert hashlib.sha256(stream.read()).digest() == digest


def test_tink_opens_no_object_under_another_records_associated_data(vault: Vault) -> None:
    (path, data_key, _, _), (_, _, others, _) = export(vault)[:2]
    with (
        pytest.raises(tink.TinkError),
        tink_primitive(data_key).new_decrypting_stream(io.BytesIO(path.read_bytes()), others) as stream,
    ):
        stream.read()


def test_our_reader_refuses_trailing_bytes(vault: Vault) -> None:
    path, data_key, bound_to, _ = export(vault)[0]
    sealed = path.read_bytes() + b"\0"
    opener = SegmentOpener(data_key, bound_to, sealed[:40], len(sealed), OBJECT_LAYOUT)
    with pytest.raises(IntegrityError):
        open_segment(opener, 0, sealed[40:])


def test_an_independent_merkle_tree_gives_the_root_of_every_checkpoint(vault: Vault) -> None:
    log = vault.ground.log_of(CONTRACT)
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    with vault.ground.engine.connect() as connection:
        entries = select(EventRow.entry).where(EventRow.ledger_id == log.id).order_by(EventRow.entry_index)
        for entry in connection.scalars(entries):
            tree.append_entry(entry)
    assert tree.get_size() == log.size
    for size in (1, 2, 3, 255, 256, 257, log.size):
        assert tree.get_root(size) == log.root_at(size)
