"""The one place that wires settings to adapters: making a vault, opening one, opening one's parts for verification."""

import fcntl
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, select

from vault.errors import ConflictError, IntegrityError, KuraError, RefusedError, SealedError
from vault.evidence.verdict import Report, Verdict
from vault.evidence.verify import VaultFiles, verify
from vault.keys.custodian import SCRYPT_LOG2_N, CustodianSecret
from vault.keys.file_keystore import FileKeyStore
from vault.ledger.guard import Guard
from vault.ledger.log import Log
from vault.ledger.sequencer import Sequencer
from vault.people.persons import NewPerson
from vault.records.founding import adopted_policy
from vault.records.ground import Clock, Contract, Ground
from vault.records.intake.pdf_pool import PdfPool
from vault.records.vault import Vault
from vault.sealing.bucket_secrets import BucketSecrets
from vault.settings import KeySettings, ListenerSettings, Settings, VaultSettings, read_settings, write_settings
from vault.storage.database import create_database, migrate, open_database
from vault.storage.filesystem import FilesystemStore
from vault.storage.tables import ContractRow, LedgerRow

DATABASE, KEY_FILE, CUSTODIAN_FILE, LOCK = "kura.db", "keys/store", "keys/custodian", "lock"


def now_utc() -> datetime:
    """The clock of a running vault."""
    return datetime.now(UTC)  # noqa: TID251 - this is the one clock that everybody is handed


@dataclass(frozen=True, slots=True)
class NewVault:
    """What a new vault begins with."""

    policy_text: str
    people: Sequence[NewPerson]
    custodian: CustodianSecret
    epoch_dir: Path
    auto_unseal_passphrase: str | None = None
    origin: str | None = None
    listener: ListenerSettings = field(default_factory=ListenerSettings)
    scrypt_log2_n: int = SCRYPT_LOG2_N


def create_vault(folder: Path, new: NewVault, clock: Clock = now_utc) -> Vault:
    """Make a vault in an empty or new folder and give it, opened.

    The settings file is written last: a folder without it is not a vault, and a cut attempt is removed by hand.

    Raises:
        ConflictError: the folder holds something already.
        RefusedError: policy or people are not valid.
    """
    adopted_policy(new.policy_text, "policy")
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError("folder-not-empty", folder=str(folder))
    vault_id = secrets.token_hex(8)
    settings = Settings(
        vault=VaultSettings(id=vault_id, origin=new.origin or f"{_host()}/{vault_id}"),
        keys=KeySettings(epoch_dir=new.epoch_dir.resolve(), auto_unseal=new.auto_unseal_passphrase is not None),
        listener=new.listener,
    )
    for path in (folder, folder / "keys", folder / "ledgers", new.epoch_dir):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for store in settings.storage.stores:
        (folder / store).mkdir(mode=0o700, parents=True, exist_ok=True)
    create_database(folder / DATABASE).dispose()
    FileKeyStore.create(folder / KEY_FILE, settings.keys.epoch_dir, new.custodian, scrypt_log2_n=new.scrypt_log2_n)
    if new.auto_unseal_passphrase is not None:
        _write_secret(folder / CUSTODIAN_FILE, new.auto_unseal_passphrase)
    vault = _open(folder, settings, clock)
    try:
        vault.ground.keys.unseal(new.custodian)
        vault.open_operator_ledger()
        vault.open_contract(new.policy_text, list(new.people))
    except BaseException:
        vault.close()
        raise
    write_settings(folder, settings)
    return vault


def open_vault(folder: Path, custodian: CustodianSecret | None = None, clock: Clock = now_utc) -> Vault:
    """Become the owner of a vault's folder and open it; sealed where nobody brings the custodians' secret.

    Raises:
        ConflictError: another process owns the folder.
        RefusedError: settings, or the custodians' secret, are wrong.
        IntegrityError: something stored is damaged.
    """
    settings = read_settings(folder)
    vault = _open(folder, settings, clock)
    try:
        custodian = custodian or auto_custodian(folder, settings)
        if custodian is not None:
            vault.unseal(custodian)
    except BaseException:
        vault.close()
        raise
    return vault


def auto_custodian(folder: Path, settings: Settings) -> CustodianSecret | None:
    """Give the secret that lies in the folder of a trial vault."""
    if not settings.keys.auto_unseal:
        return None
    with suppress(FileNotFoundError):
        return CustodianSecret.from_passphrase((folder / CUSTODIAN_FILE).read_text("utf-8").rstrip("\n"))
    return None


def verify_vault(
    folder: Path, custodian: CustodianSecret | None, *, keyless: bool = False, report: Report = lambda *_: None
) -> Verdict:
    """Verify a vault's folder from its files, changing nothing.

    Args:
        folder: the vault's folder, or a copy of it.
        custodian: the custodians' secret; a trial vault's own where None.
        keyless: open nothing, and claim less.
        report: told of progress.

    Raises:
        RefusedError: it is no vault's folder. Everything else that keeps the check from its end is a finding.
    """
    settings = read_settings(folder)
    verdict = Verdict()
    try:
        with opened_files(folder, settings, custodian, keyless=keyless) as files:
            verdict.join(verify(files, report))
    except KuraError as error:
        verdict.found(folder.name, error)
    except Exception as error:  # noqa: BLE001 - a check that crashed is never a pass
        verdict.found(folder.name, IntegrityError("check-unfinished", reason=type(error).__name__))
    return verdict


@contextmanager
def opened_files(
    folder: Path, settings: Settings, custodian: CustodianSecret | None, *, keyless: bool
) -> Iterator[VaultFiles]:
    """Open a vault's parts for reading only; errors as `verify_vault` finds them."""
    keys = None if keyless else _unsealed_for_reading(folder, settings, custodian)
    engine = open_database(folder / DATABASE, read_only=True)
    try:
        yield VaultFiles(
            vault_id=settings.vault.id,
            engine=engine,
            logs=load_logs(engine, keys),
            guard=Guard(settings.keys.epoch_dir),
            ledgers=folder / "ledgers",
            stores=open_stores(folder, settings),
            keys=keys,
            secrets=None if keys is None else BucketSecrets(keys, now_utc),
        )
    finally:
        engine.dispose()


def _unsealed_for_reading(folder: Path, settings: Settings, custodian: CustodianSecret | None) -> FileKeyStore:
    keys = FileKeyStore(folder / KEY_FILE, settings.keys.epoch_dir, read_only=True)
    custodian = custodian or auto_custodian(folder, settings)
    if custodian is None:
        raise SealedError("vault-sealed")
    keys.unseal(custodian)
    return keys


def open_stores(folder: Path, settings: Settings) -> list[FilesystemStore]:
    """Open the object stores; a missing folder is an error, not an empty store."""
    return [FilesystemStore(folder / store, settings.vault.id) for store in settings.storage.stores]


def load_contracts(engine: Engine) -> dict[str, Contract]:
    """Read the contracts and their policies."""
    with engine.connect() as connection:
        rows = connection.execute(select(ContractRow.id, ContractRow.ledger_id, ContractRow.policy)).all()
    return {row.id: Contract(row.id, row.ledger_id, adopted_policy(row.policy, row.id)) for row in rows}


def load_logs(engine: Engine, keys: FileKeyStore | None) -> list[Log]:
    """Take up every ledger; reads O(log n) of each. Without keys they sign nothing."""
    names = [column.key for column in LedgerRow.__mapper__.column_attrs]
    with engine.connect() as connection:
        rows = connection.execute(select(*(getattr(LedgerRow, name) for name in names))).mappings().all()
    return [Log(engine, LedgerRow(**row), _signer(keys, row["signing_key_id"])) for row in rows]


def _open(folder: Path, settings: Settings, clock: Clock) -> Vault:
    lock = _lock(folder)
    closers: list[Callable[[], object]] = [lambda: os.close(lock)]
    try:
        engine = open_database(folder / DATABASE)
        closers.insert(0, engine.dispose)
        migrate(engine)
        keys = FileKeyStore(folder / KEY_FILE, settings.keys.epoch_dir)
        guard = Guard(settings.keys.epoch_dir)
        closers.insert(0, guard.close)
        logs = load_logs(engine, keys)
        pool = PdfPool(
            workers=settings.intake.pdf_workers,
            memory_mib=settings.intake.pdf_memory_mib,
            timeout_s=settings.intake.pdf_timeout_s,
        )
        closers.insert(0, pool.close)
        ground = Ground(
            vault_id=settings.vault.id,
            engine=engine,
            sequencer=Sequencer(engine, logs, guard, max_batch=settings.sequencer.max_batch),
            keys=keys,
            stores=open_stores(folder, settings),
            pdf_pool=pool,
            clock=clock,
            days_ahead=settings.buckets.days_ahead,
            contracts=load_contracts(engine),
        )
        operator = [log.id for log in logs if log.contract_id is None and log.is_open]
        if operator:
            ground.operator_ledger_id = operator[0]
        vault = Vault(ground, guard, folder, settings.vault.origin)
        vault.start(closers)
    except BaseException:
        for closer in closers:
            closer()
        raise
    return vault


def _lock(folder: Path) -> int:
    """Take the folder's lock, for as long as the descriptor stays open."""
    try:
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except FileNotFoundError as error:
        raise RefusedError("settings-missing", folder=str(folder)) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise ConflictError("vault-owned") from error
    return fd


def _signer(keys: FileKeyStore | None, key_id: str) -> Callable[[bytes], bytes]:
    def sign(message: bytes) -> bytes:
        if keys is None:
            raise SealedError("vault-sealed")
        return keys.sign(key_id, message)

    return sign


def _write_secret(path: Path, secret: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.write(fd, secret.encode() + b"\n")
    os.close(fd)


def _host() -> str:
    """This machine's name, as part of an origin."""
    name = "".join(
        character for character in socket.gethostname().lower() if character.isascii() and character.isalnum()
    )
    return f"kura.{name or 'local'}"
