"""Buckets: what dies together. Making their keys, checking their public halves, opening them; no events here.

A bucket's disposal key lives only in the key store. Beneath it, wrapped in the bucket's row, hang the X25519 private
half, to which envelopes are sealed, and the index key. Whoever seals needs the public half only, and takes none that
the vault did not sign: a row altered in the database gets no data key.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from vault.canonical_json import canonical_json
from vault.errors import IntegrityError
from vault.keys.keystore import KeyStore
from vault.storage.tables import BucketRow


@dataclass(frozen=True, slots=True)
class BucketId:
    """Which bucket: everything of one class that is due on one day, or waits for one trigger."""

    contract_id: str
    class_id: str
    scope: str  # "2031-04-01", or "trigger:contract-completed"
    generation: int = 1


@dataclass(frozen=True, slots=True)
class OpenBucket:
    """A bucket's secret halves, in memory only."""

    private_key: X25519PrivateKey
    index_key: bytes


def new_bucket(
    which: BucketId, bucket_id: str, key_id: str, index_key: bytes, keys: KeyStore, signer: str
) -> BucketRow:
    """Make a bucket under a disposal key that is durable in the key store already.

    Args:
        which: what it is for.
        bucket_id: 32 random hex digits.
        key_id: its disposal key.
        index_key: 32 random bytes.
        keys: the opened key store.
        signer: id of the signing key that vouches for the public half.
    """
    private_key = X25519PrivateKey.generate()
    row = BucketRow(
        id=bucket_id,
        contract_id=which.contract_id,
        class_id=which.class_id,
        scope=which.scope,
        generation=which.generation,
        state="open",
        key_id=key_id,
        public_key=private_key.public_key().public_bytes_raw(),
        private_wrapped=keys.wrap(key_id, private_key.private_bytes_raw()),
        index_wrapped=keys.wrap(key_id, index_key),
    )
    row.signature = keys.sign(signer, _statement(row))
    return row


def check_public_half(row: BucketRow, signers: Mapping[str, bytes]) -> None:
    """Check that the vault itself vouched for this row's public half.

    Args:
        row: the bucket.
        signers: Ed25519 public keys (32 bytes) by the id of the signing key.

    Raises:
        IntegrityError: no signer did.
    """
    statement = _statement(row)
    for public_key in signers.values():
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(row.signature, statement)
        except InvalidSignature:
            continue
        return
    raise IntegrityError("bucket-not-vouched-for", bucket=row.id)


def open_bucket(row: BucketRow, keys: KeyStore) -> OpenBucket:
    """Unwrap a bucket's secret halves.

    Raises:
        SealedError: the key store is sealed.
        IntegrityError: what is unwrapped does not belong to the public half.
    """
    private_key = X25519PrivateKey.from_private_bytes(keys.unwrap(row.key_id, row.private_wrapped))
    if private_key.public_key().public_bytes_raw() != row.public_key:
        raise IntegrityError("bucket-halves-differ", bucket=row.id)
    return OpenBucket(private_key, keys.unwrap(row.key_id, row.index_wrapped))


def describe(row: BucketRow) -> dict[str, str | int]:
    """What an event, and the signature, say of a bucket: all that may not change in its row but its state."""
    return {
        "bucket": row.id,
        "class": row.class_id,
        "contract": row.contract_id,
        "generation": row.generation,
        "key": row.key_id,
        "public_key": row.public_key.hex(),
        "scope": row.scope,
    }


def _statement(row: BucketRow) -> bytes:
    return b"kura/bucket/v1\n" + canonical_json(describe(row))
