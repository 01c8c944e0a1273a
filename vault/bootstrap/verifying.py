"""Opening a vault's parts for reading only, and verifying them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vault.bootstrap.parts import (
    auto_custodian,
    load_logs,
    now_utc,
    open_guard,
    open_keys,
    open_rows,
    open_second,
    open_stores,
)
from vault.errors import IntegrityError, KuraError, SealedError
from vault.evidence.verdict import Report, Verdict
from vault.evidence.verify import VaultFiles, verify
from vault.keys.custodian import CustodianSecret
from vault.keys.keystore import KeyStore
from vault.sealing.bucket_secrets import BucketSecrets
from vault.settings import Settings, read_settings


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
    engine = open_rows(folder, settings, read_only=True)
    second = open_second(folder, settings)
    try:
        yield VaultFiles(
            vault_id=settings.vault.id,
            engine=engine,
            logs=load_logs(engine, keys),
            guard=open_guard(settings, second),
            ledgers=folder / "ledgers",
            stores=open_stores(folder, settings),
            keys=keys,
            secrets=None if keys is None else BucketSecrets(keys, now_utc),
            second=None if second is None else second.rows,
        )
    finally:
        engine.dispose()


def _unsealed_for_reading(folder: Path, settings: Settings, custodian: CustodianSecret | None) -> KeyStore:
    keys = open_keys(folder, settings, read_only=True)
    custodian = custodian or auto_custodian(folder, settings)
    if custodian is None:
        raise SealedError("vault-sealed")
    keys.unseal(custodian)
    return keys
