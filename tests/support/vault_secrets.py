"""The secrets of a vault, for tests that look for them where they must not be."""

import stored
import vaults

from vault.keys.file_keystore import FileKeyStore
from vault.records.vault import Vault
from vault.sealing.bucket_secrets import bucket_rows


def secrets_of(vault: Vault) -> dict[str, bytes]:
    """Every secret that opens something, known from an opening with the custodians' secret."""
    keys = vault.ground.keys
    found = {"passphrase": vaults.PASSPHRASE.encode()}
    if isinstance(keys, FileKeyStore):  # what lies in an HSM is known to nobody
        assert keys._opening is not None  # noqa: SLF001 - what lies in there is looked for
        found |= {"custodian secret": bytes(keys._custodian)}  # noqa: SLF001
        found |= {f"disposal key {name}": bytes(key) for name, key in keys._opening.disposal_keys.items()}  # noqa: SLF001
    with vault.ground.engine.connect() as connection:
        ids = [row[0] for row in stored.rows(vault, "SELECT id FROM buckets")]
        for bucket_id, row in bucket_rows(connection, ids).items():
            opened = vault.buckets.secrets.opened(row)
            found[f"private half of {bucket_id}"] = opened.private_key.private_bytes_raw()
            found[f"index key of {bucket_id}"] = opened.index_key
    return found
