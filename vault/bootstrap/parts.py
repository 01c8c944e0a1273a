"""The adapters that the settings name: database, key store and object stores; made for a new vault, or opened."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, select

from vault.errors import RefusedError, SealedError, UnavailableError
from vault.keys.custodian import SCRYPT_LOG2_N, CustodianSecret
from vault.keys.file_keystore import FileKeyStore
from vault.keys.keystore import KeyStore
from vault.keys.pkcs11_keystore import Pkcs11KeyStore
from vault.keys.pkcs11_uri import parse_hsm_uri
from vault.ledger.guard import Guard
from vault.ledger.guard_on_both import GuardOnBoth
from vault.ledger.log import Log
from vault.records.founding import adopted_policy
from vault.records.ground import Contract
from vault.settings import Settings
from vault.storage.database import create_database, migrate, open_database, prepare_to_serve, require_empty
from vault.storage.filesystem import FilesystemStore
from vault.storage.objects import ObjectStore
from vault.storage.s3 import S3Store
from vault.storage.s3_place import is_s3, read_place
from vault.storage.second.disk import SecondDisk
from vault.storage.tables import ContractRow, LedgerRow

_AWAY = frozenset({"store-missing", "store-unreachable", "store-failed"})  # what time alone may mend
DATABASE, KEY_FILE, CUSTODIAN_FILE = "kura.db", "keys/store", "keys/custodian"


def now_utc() -> datetime:
    """The clock of a running vault."""
    return datetime.now(UTC)  # noqa: TID251 - this is the one clock that everybody is handed


def make_database(folder: Path, settings: Settings, owner_url: str | None) -> None:
    """Make the database of a new vault, with the newest schema; in PostgreSQL as the owner, for the service's role.

    Raises:
        RefusedError: `owner-url-missing`.
        ConflictError: there is a vault in it.
    """
    if settings.database.url is None:
        create_database(folder / DATABASE).dispose()
        return
    engine = create_database(_required(owner_url), settings.database.url)
    try:
        require_empty(engine)
    finally:
        engine.dispose()


def open_rows(folder: Path, settings: Settings, *, read_only: bool = False) -> Engine:
    """Open the database of a vault; errors as `open_database`. One for reading only has time for long statements."""
    return open_database(
        settings.database.url or folder / DATABASE,
        read_only=read_only,
        patience_s=None if read_only else settings.database.patience_s,
        is_recorded=settings.second.places is not None and not read_only,
    )


def examine_database(folder: Path, settings: Settings) -> str:
    """Look at the server of a vault whose rows are in PostgreSQL; give its version.

    Raises:
        RefusedError: a guarantee is missing, or the role could alter a ledger.
        IntegrityError: the schema is another.
        UnavailableError: it is away.
    """
    engine = open_rows(folder, settings)
    try:
        prepare_to_serve(engine)
        with engine.connect() as connection:
            version: str = connection.exec_driver_sql("SHOW server_version").scalar_one()
    finally:
        engine.dispose()
    return version


def migrate_rows(folder: Path, settings: Settings, owner_url: str | None) -> None:
    """Bring a vault's database to the newest schema, and the service's rights with it; errors as `make_database`."""
    if settings.database.url is None:
        engine = open_rows(folder, settings)
    else:
        engine = open_database(_required(owner_url), patience_s=None)
    try:
        migrate(engine, settings.database.url)
    finally:
        engine.dispose()


def make_keys(
    folder: Path, settings: Settings, custodian: CustodianSecret, *, scrypt_log2_n: int = SCRYPT_LOG2_N
) -> None:
    """Make the key store of a new vault."""
    path, hsm = folder / KEY_FILE, settings.keys.hsm
    if hsm is None:
        second, epoch_dir = _second_keys(settings), settings.keys.epoch_dir
        FileKeyStore.create(path, epoch_dir, custodian, second=second, scrypt_log2_n=scrypt_log2_n)
    else:
        Pkcs11KeyStore.create(
            parse_hsm_uri(hsm), settings.vault.id, path, custodian, scrypt_log2_n=scrypt_log2_n
        ).seal()


def open_keys(folder: Path, settings: Settings, *, read_only: bool = False) -> KeyStore:
    """Open the key store of a vault, sealed."""
    path, hsm = folder / KEY_FILE, settings.keys.hsm
    if hsm is None:
        return FileKeyStore(path, settings.keys.epoch_dir, second=_second_keys(settings), read_only=read_only)
    return Pkcs11KeyStore(parse_hsm_uri(hsm), settings.vault.id, path, read_only=read_only)


def open_second(folder: Path, settings: Settings) -> SecondDisk | None:
    """Name the second disk where there is one; nothing is read yet."""
    if settings.second.places is None:
        return None
    return SecondDisk(settings.second.places[0], settings.vault.id, folder / DATABASE)


def open_guard(settings: Settings, second: SecondDisk | None) -> Guard:
    """Open the rollback guard: on both disks where there are two."""
    if second is None or settings.second.places is None:
        return Guard(settings.keys.epoch_dir)
    return GuardOnBoth(settings.keys.epoch_dir, settings.second.places[1], second)


def make_stores(folder: Path, settings: Settings) -> None:
    """Make the object stores of a new vault; a bucket is made by whoever owns it, and must be there."""
    for store in settings.storage.stores:
        if is_s3(store):
            object_store(folder, settings, store).require_there()
        else:
            (folder / store).mkdir(mode=0o700, parents=True, exist_ok=True)


def open_stores(folder: Path, settings: Settings) -> list[ObjectStore]:
    """Open the object stores; a missing folder is a store that is away, not an empty one.

    Raises:
        UnavailableError: none is there.
        RefusedError: one is not fit to hold anything.
    """
    stores = [object_store(folder, settings, store) for store in settings.storage.stores]
    away = []
    for store in stores:
        try:
            store.require_there()
        except UnavailableError as error:
            if error.code not in _AWAY:
                raise
            away.append(error)
    if len(away) == len(stores):
        raise away[0]
    return stores


def probe_stores(stores: Sequence[ObjectStore]) -> None:
    """Try the promises of every store that is there; errors as `ObjectStore.probe` but for a store that is away."""
    for store in stores:
        try:
            store.probe()
        except UnavailableError as error:
            if error.code not in _AWAY:
                raise


def object_store(folder: Path, settings: Settings, store: str) -> ObjectStore:
    """Give one store, of which nothing is asked yet.

    Raises:
        RefusedError: its line in the settings is wrong, or its credentials cannot be had.
    """
    if not is_s3(store):
        return FilesystemStore(folder / store, settings.vault.id)
    return S3Store(
        read_place(store, folder),
        settings.vault.id,
        folder,
        timeout_s=settings.storage.engine_timeout_s,
        birth_lock=timedelta(seconds=settings.storage.engine_lock_s),
    )


def auto_custodian(folder: Path, settings: Settings) -> CustodianSecret | None:
    """Give the secret that lies in the folder of a trial vault."""
    if not settings.keys.auto_unseal:
        return None
    with suppress(FileNotFoundError):
        return CustodianSecret.from_passphrase((folder / CUSTODIAN_FILE).read_text("utf-8").rstrip("\n"))
    return None


def load_contracts(engine: Engine) -> dict[str, Contract]:
    """Read the contracts and their policies."""
    with engine.connect() as connection:
        rows = connection.execute(select(ContractRow.id, ContractRow.ledger_id, ContractRow.policy)).all()
    return {row.id: Contract(row.id, row.ledger_id, adopted_policy(row.policy, row.id)) for row in rows}


def load_logs(engine: Engine, keys: KeyStore | None) -> list[Log]:
    """Take up every ledger; reads O(log n) of each. Without keys they sign nothing."""
    names = [column.key for column in LedgerRow.__mapper__.column_attrs]
    with engine.connect() as connection:
        rows = connection.execute(select(*(getattr(LedgerRow, name) for name in names))).mappings().all()
    return [take_up_log(engine, keys, LedgerRow(**row)) for row in rows]


def take_up_log(engine: Engine, keys: KeyStore | None, row: LedgerRow) -> Log:
    """Take up one ledger from its row."""
    return Log(engine, row, _signer(keys, row.signing_key_id))


def _signer(keys: KeyStore | None, key_id: str) -> Callable[[bytes], bytes]:
    def sign(message: bytes) -> bytes:
        if keys is None:
            raise SealedError("vault-sealed")
        return keys.sign(key_id, message)

    return sign


def _required(owner_url: str | None) -> str:
    if owner_url is None:
        raise RefusedError("owner-url-missing")
    return owner_url


def _second_keys(settings: Settings) -> tuple[Path, Path] | None:
    if settings.second.places is None:
        return None
    folder, epoch_dir = settings.second.places
    return folder / KEY_FILE, epoch_dir
