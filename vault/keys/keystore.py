"""The key store's protocol: what every place that keeps keys promises; leaves out how (`file_keystore.py`)."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from vault.keys.custodian import SCRYPT_LOG2_N, CustodianSecret


class KeyStore(Protocol):
    """The one place where disposal keys, the ledgers' signing keys and the authority's key live.

    Two parts. The *taking* part (signing) works always, so that a sealed vault can take deposits, sign its
    checkpoints and renew the certificates of stations. The *opening* part (disposal keys and tombstones) works only
    after custodians have opened the store; before that every one of its methods raises SealedError `vault-sealed`.

    Durability: what a method has returned survives a crash of the process and of the machine. A method that was cut
    has either happened wholly or not at all once the store is opened again; `destroy` that was cut is finished or
    undone then.

    Repeated calls: everything that changes the store may be repeated after a failure. Creating again makes further
    keys; a key without a row is harmless, and the caller sweeps it.

    Concurrency: safe to call from several threads. One process owns the store; the owner of the vault's lock sees to
    that. In an HSM a key that another process made or destroyed is known at once.

    Errors: those named at each method. A device that is gone seals the opening part, and every method that needs it
    raises UnavailableError `hsm-away`; signing resumes when it is back. After UnavailableError
    `key-store-write-failed` the outcome is unknown: the store has sealed itself, and opening it again recovers from
    what is stored. No change is retried in here.

    Trust: fully trusted. Whoever holds an opened store can read every record that is not yet destroyed. Whoever holds
    a copy of what is stored, and the custodians' secret, can read what was not destroyed when the copy was made, and
    only as long as nothing has been destroyed since.

    Ids are 32 random lower-case hex digits, never used twice; a key is never overwritten.
    """

    @property
    def is_sealed(self) -> bool:
        """Whether the opening part is closed."""

    def unseal(self, custodian: CustodianSecret) -> None:
        """Open the opening part, having finished whatever a crash had cut. Harmless to repeat.

        Raises:
            RefusedError: `custodian-secret-wrong`, or the shares are too few or do not belong together.
            IntegrityError: what is stored is damaged.
        """

    def replace_custodian(self, custodian: CustodianSecret, *, scrypt_log2_n: int = SCRYPT_LOG2_N) -> None:
        """Let another passphrase or other shares open the store from now on. Needs the store opened."""

    def seal(self) -> None:
        """Close the opening part and forget its keys in memory. Harmless to repeat; signing goes on."""

    def create_disposal_keys(self, count: int) -> list[str]:
        """Make `count` AES-256 keys durably and give their ids, which nothing else has ever had.

        Cut, it may leave keys that nobody was told of, as if it had not been told in time.
        """

    def wrap(self, key_id: str, plaintext: bytes) -> bytes:
        """Wrap `plaintext` (whole blocks of 8 bytes, as keys have) under a disposal key with AES-KWP (RFC 5649).

        The result depends on key and plaintext alone, is 8 bytes longer, and the same in every store.

        Raises:
            ValueError: they are no whole blocks: devices pad others in ways of their own.
            NotFoundError: `disposal-key-unknown`.
            RefusedError: `disposal-key-destroyed`.
        """

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        """Unwrap what `wrap` gave.

        Raises:
            NotFoundError: `disposal-key-unknown`.
            RefusedError: `disposal-key-destroyed`.
            IntegrityError: `wrapped-key-altered`: altered, or wrapped under another key.
        """

    def destroy(self, key_ids: Collection[str], at: datetime) -> None:
        """Destroy disposal keys for good and keep a tombstone of each; all of them or, on an error, none.

        On return no copy of the store made earlier opens anything; copies of an HSM are its maker's matter.
        Harmless to repeat: a key that is destroyed already keeps its first tombstone.

        Args:
            key_ids: ids of keys that exist or have been destroyed.
            at: when, aware; kept in the tombstone to the microsecond.

        Raises:
            NotFoundError: `disposal-key-unknown`; nothing was destroyed.
        """

    def disposal_key_ids(self) -> frozenset[str]:
        """Give the ids of all disposal keys that exist."""

    def tombstones(self) -> Mapping[str, datetime]:
        """Say for each destroyed key when it was destroyed (UTC)."""

    def create_signing_key(self) -> str:
        """Make an Ed25519 key durably and give its id. Needs the store opened, as it rewrites the whole store."""

    def signing_key_ids(self) -> frozenset[str]:
        """Give the ids of all signing keys; also while sealed."""

    def sign(self, key_id: str, message: bytes) -> bytes:
        """Sign with Ed25519 (RFC 8032) and give the 64 bytes of the signature; also while sealed.

        Raises:
            NotFoundError: `signing-key-unknown`.
        """

    def public_key(self, key_id: str) -> bytes:
        """Give the 32 bytes of a signing key's public half; also while sealed.

        Raises:
            NotFoundError: `signing-key-unknown`.
        """

    def create_certificate_key(self) -> str:
        """Make a P-256 key for the vault's certificate authority durably and give its id. Needs the store opened."""

    def sign_certificate(self, key_id: str, message: bytes) -> bytes:
        """Sign with ECDSA and SHA-256 (RFC 5758) and give the signature in DER; also while sealed.

        Raises:
            NotFoundError: `certificate-key-unknown`.
        """

    def certificate_key(self, key_id: str) -> EllipticCurvePublicKey:
        """Give a certificate key's public half; also while sealed.

        Raises:
            NotFoundError: `certificate-key-unknown`.
        """

    def check(self) -> None:
        """Read again all that is stored and compare it with what is in use, changing nothing.

        A sealed store is checked as far as that goes without custodians.

        Raises:
            IntegrityError: anything is damaged, or a destruction was cut and not yet finished.
        """
