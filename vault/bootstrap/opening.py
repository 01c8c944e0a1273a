"""Making a vault, and opening one: its owner holds the folder's lock."""

import fcntl
import os
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from vault.bootstrap.parts import (
    CUSTODIAN_FILE,
    auto_custodian,
    load_contracts,
    load_logs,
    make_database,
    make_keys,
    make_stores,
    migrate_rows,
    now_utc,
    open_guard,
    open_keys,
    open_rows,
    open_second,
    open_stores,
    take_up_log,
)
from vault.errors import ConflictError, RefusedError
from vault.keys.custodian import SCRYPT_LOG2_N, CustodianSecret
from vault.keys.file_keystore import FileKeyStore
from vault.keys.pkcs11_uri import parse_hsm_uri
from vault.ledger.sequencer import Sequencer
from vault.ledger.writer import AWAY_FOR
from vault.people.persons import NewPerson
from vault.records.founding import adopted_policy
from vault.records.ground import Clock, Ground
from vault.records.intake.pdf_pool import PdfPool
from vault.records.vault import Vault
from vault.settings import (
    DatabaseSettings,
    KeySettings,
    ListenerSettings,
    SecondDiskSettings,
    Settings,
    StorageSettings,
    VaultSettings,
    read_settings,
    require_second,
    write_settings,
)
from vault.storage.database import prepare_to_serve

LOCK = "lock"


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
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    owner_url: str | None = None  # of PostgreSQL's owner role, who makes the tables
    storage: StorageSettings = field(default_factory=StorageSettings)
    second: SecondDiskSettings = field(default_factory=SecondDiskSettings)
    hsm: str | None = None
    scrypt_log2_n: int = SCRYPT_LOG2_N


def create_vault(folder: Path, new: NewVault, clock: Clock = now_utc) -> Vault:
    """Make a vault in an empty or new folder and give it, opened.

    The settings file is written last: a folder without it is not a vault, and a cut attempt is removed by hand.

    Raises:
        ConflictError: the folder holds something already.
        RefusedError: policy, people or the HSM's URI are not valid, or the HSM is not fit.
        UnavailableError: a disk or an engine failed.
    """
    adopted_policy(new.policy_text, "policy")
    if new.hsm is not None:
        parse_hsm_uri(new.hsm)
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError("folder-not-empty", folder=str(folder))
    vault_id = secrets.token_hex(8)
    settings = Settings(
        vault=VaultSettings(id=vault_id, origin=new.origin or f"{_host()}/{vault_id}"),
        keys=KeySettings(
            epoch_dir=new.epoch_dir.resolve(), auto_unseal=new.auto_unseal_passphrase is not None, hsm=new.hsm
        ),
        database=new.database,
        storage=_on_two_disks(new),
        second=new.second,
        listener=new.listener,
    )
    _make_second(folder, settings)
    for path in (folder, folder / "keys", folder / "ledgers", new.epoch_dir):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_stores(folder, settings)
    make_database(folder, settings, new.owner_url)
    make_keys(folder, settings, new.custodian, scrypt_log2_n=new.scrypt_log2_n)
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


def migrate_database(folder: Path, owner_url: str | None) -> None:
    """Bring the database of a vault's folder to the newest schema, and PostgreSQL's rights with it.

    Args:
        folder: the vault's; whoever serves it from PostgreSQL may go on meanwhile, and is to be started anew after.
        owner_url: of PostgreSQL's owner role.

    Raises:
        RefusedError: `owner-url-missing`, or a role that will not do.
        ConflictError: another process owns the folder, and the database in it.
    """
    settings = read_settings(folder)
    lock = _lock(folder) if settings.database.url is None else None
    try:
        migrate_rows(folder, settings, owner_url)
    finally:
        if lock is not None:
            os.close(lock)


def _open(folder: Path, settings: Settings, clock: Clock) -> Vault:
    lock = _lock(folder)
    closers: list[Callable[[], object]] = [lambda: os.close(lock)]
    try:
        engine = open_rows(folder, settings)
        closers.insert(0, engine.dispose)
        second = open_second(folder, settings)
        if second is not None:
            second.attach(engine)
            closers.insert(0, second.close)
        prepare_to_serve(engine)
        keys = open_keys(folder, settings)
        closers.insert(0, keys.seal)
        guard = open_guard(settings, second)
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
            sequencer=Sequencer(
                engine,
                logs,
                guard,
                take_up=partial(take_up_log, engine, keys),
                max_batch=settings.sequencer.max_batch,
                patience_s=AWAY_FOR * settings.database.patience_s,
            ),
            keys=keys,
            stores=open_stores(folder, settings),
            pdf_pool=pool,
            clock=clock,
            days_ahead=settings.buckets.days_ahead,
            read_contracts=partial(load_contracts, engine),
            second=second,
            bring_up_keys=keys.bring_up if isinstance(keys, FileKeyStore) else lambda: True,
            contracts=load_contracts(engine),
        )
        for contract in ground.contracts.values():
            ground.require_residence(contract.policy)
        operator = [log.id for log in logs if log.contract_id is None and log.is_open]
        if operator:
            ground.operator_ledger_id = operator[0]
        vault = Vault(ground, guard, folder, settings.vault.origin)
        vault.start(closers)
    except BaseException:
        for closer in closers:
            closer()
        raise
    if settings.keys.hsm is None:
        try:
            vault.own_keys()
        except BaseException:
            vault.close()
            raise
    return vault


def _on_two_disks(new: NewVault) -> StorageSettings:
    """Put the second object store on the second disk, where there is one."""
    if new.second.places is None:
        return new.storage
    return StorageSettings(stores=("objects/a", str(new.second.places[0] / "objects")))


def _make_second(folder: Path, settings: Settings) -> None:
    """Make the second disk's folder, where there is one; by the settings in it a vault knows the disk as its own.

    Raises:
        ConflictError: it holds something already.
        RefusedError: it is not apart from the vault's folder.
    """
    require_second(settings.second, settings.database, folder)
    if settings.second.places is None:
        return
    second, epoch_dir = settings.second.places
    if second.exists() and any(second.iterdir()):
        raise ConflictError("folder-not-empty", folder=str(second))
    for path in (second, second / "keys", epoch_dir):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_settings(second, settings)


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
