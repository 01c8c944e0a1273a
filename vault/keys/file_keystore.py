"""The embedded key store: one sealed file beside two epoch slots; leaves out its bytes and their writing.

Bytes: `key_file.py`, `epoch.py`. Order of writes and recovery: `key_disk.py`. This module holds the keys in memory,
lets one thread at a time change them, and decides what may be done while the store is sealed.

Promise: after `destroy` no copy made earlier opens anything, as the epoch secret that it needs exists nowhere. Not
promised: what a flash chip, a copy-on-write file system or a snapshot keeps of an overwritten slot.
"""

import os
import threading
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from vault.errors import IntegrityError, KuraError, NotFoundError, RefusedError, SealedError
from vault.keys.custodian import SALT_BYTES, SCRYPT_LOG2_N, CustodianParameters, CustodianSecret
from vault.keys.epoch import SECRET_BYTES, Epoch
from vault.keys.key_disk import KeyDisk, StoredKeys
from vault.keys.key_file import NONCE_BYTES, KeyFileHeader, KeyFileSecrets, check_value, seal_key_file
from vault.keys.key_parts import ID_BYTES, KEY_BYTES, OpeningPart, TakingPart
from vault.keys.key_wrap import unwrap_key, wrap_key
from vault.keys.wiping import wipe


class FileKeyStore:
    """A key store in a file; keeps the contract of `vault.keys.keystore.KeyStore`.

    Attributes:
        finished_cut_run: whether the last reading found a run that a crash had cut, and finished it; worth a log line.
    """

    def __init__(self, path: Path, epoch_dir: Path, *, read_only: bool = False) -> None:
        """Take a store that exists, sealed, and prove every byte of it.

        Args:
            path: the key file.
            epoch_dir: folder of the two epoch slots.
            read_only: never write, not even to finish a run that was cut; what changes the store is then refused.

        Raises:
            NotFoundError: `key-file-missing`.
            UnavailableError: `key-store-unreadable`, also if a slot is missing.
            IntegrityError: `key-file-damaged`, `key-file-outdated` or `epoch-slot-damaged`; nothing was changed.
        """
        self._disk = KeyDisk(path, epoch_dir)
        self._read_only = read_only
        self._lock = threading.RLock()
        self._opening: OpeningPart | None = None
        self._custodian = bytearray()
        self.finished_cut_run = False
        with self._disk.reading() as stored:
            self._settle(stored)

    @classmethod
    def create(
        cls, path: Path, epoch_dir: Path, custodian: CustodianSecret, *, scrypt_log2_n: int = SCRYPT_LOG2_N
    ) -> "FileKeyStore":
        """Make an empty store and give it, opened.

        Args:
            path: where the key file shall be.
            epoch_dir: folder for the slots, outside the vault's folder and outside backups.
            custodian: what shall open the store.
            scrypt_log2_n: cost of a passphrase: 17 is 128 MiB and some tenths of a second.

        Raises:
            ConflictError: `key-store-exists` or `epoch-slots-exist`.
            UnavailableError: `key-store-write-failed`.
        """
        parameters = custodian.new_parameters(os.urandom(SALT_BYTES), scrypt_log2_n)
        secret = custodian.derive(parameters)
        header = KeyFileHeader(generation=1, epoch=1, custodian=parameters, check_value=check_value(secret))
        first = _new_epoch(1)
        secrets = KeyFileSecrets(secret, first.secret, _nonces())
        KeyDisk(path, epoch_dir).create(first, seal_key_file(header, OpeningPart({}, {}), TakingPart({}, {}), secrets))
        wipe(secret, first.secret)
        store = cls(path, epoch_dir)
        store.unseal(custodian)
        return store

    @property
    def is_sealed(self) -> bool:
        """Whether the opening part is closed."""
        return self._opening is None

    def unseal(self, custodian: CustodianSecret) -> None:
        """Open the opening part, having finished whatever a crash had cut."""
        parameters = self._header.custodian
        secret = custodian.derive(parameters)  # takes long on purpose: not under the lock, so that signing goes on
        with self._lock, self._disk.reading() as stored:
            self._settle(stored)
            try:
                self._header.require(secret)
                opening = stored.file.open_opening(secret, stored.epoch.secret)
            except KuraError:
                wipe(secret)
                raise
            self.seal()
            self._opening, self._custodian = opening, secret

    def seal(self) -> None:
        """Close the opening part and forget its keys in memory."""
        with self._lock:
            if self._opening is not None:
                wipe(*self._opening.disposal_keys.values())
            wipe(self._custodian)
            self._opening, self._custodian = None, bytearray()

    def replace_custodian(self, custodian: CustodianSecret, *, scrypt_log2_n: int = SCRYPT_LOG2_N) -> None:
        """Let another passphrase or other shares open the store from now on, as when a custodian leaves.

        A new epoch begins, so that with the former secret no older copy of the store opens either.
        """
        parameters = custodian.new_parameters(os.urandom(SALT_BYTES), scrypt_log2_n)
        secret = custodian.derive(parameters)
        with self._lock:
            former = self._custodian
            self._write(self._opened(), self._taking, new_epoch=True, custodian=(parameters, secret))
            wipe(former)

    def create_disposal_keys(self, count: int) -> list[str]:
        """Make AES-256 keys in one durable write and give their ids."""
        keys = {os.urandom(ID_BYTES).hex(): bytearray(os.urandom(KEY_BYTES)) for _ in range(count)}
        with self._lock:
            opening = self._opened()
            if keys:
                self._write(opening.with_keys(keys), self._taking)
        return list(keys)

    def wrap(self, key_id: str, plaintext: bytes) -> bytes:
        """Wrap `plaintext` under a disposal key with AES-KWP."""
        with self._lock:  # held throughout: a key destroyed meanwhile is zeros in memory
            return wrap_key(self._disposal_key(key_id), plaintext)

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        """Unwrap what `wrap` gave."""
        with self._lock:  # as in `wrap`
            return unwrap_key(self._disposal_key(key_id), wrapped, key_id)

    def destroy(self, key_ids: Collection[str], at: datetime) -> None:
        """Destroy disposal keys for good and keep a tombstone of each; all of them or, on an error, none."""
        if at.tzinfo is None:
            raise ValueError(at)
        with self._lock:
            opening = self._opened()
            for key_id in key_ids:
                if key_id not in opening.disposal_keys and key_id not in opening.tombstones:
                    raise NotFoundError("disposal-key-unknown", key_id=key_id)
            doomed = {key_id: opening.disposal_keys[key_id] for key_id in key_ids if key_id not in opening.tombstones}
            if doomed:
                self._write(opening.without_keys(doomed, at), self._taking, new_epoch=True)
                wipe(*doomed.values())

    def disposal_key_ids(self) -> frozenset[str]:
        """Give the ids of all disposal keys that exist."""
        with self._lock:
            return frozenset(self._opened().disposal_keys)

    def tombstones(self) -> Mapping[str, datetime]:
        """Say for each destroyed key when it was destroyed (UTC)."""
        with self._lock:
            return MappingProxyType(dict(self._opened().tombstones))

    def create_signing_key(self) -> str:
        """Make an Ed25519 key durably and give its id."""
        key_id = os.urandom(ID_BYTES).hex()
        with self._lock:
            keys = {**self._taking.signing_keys, key_id: Ed25519PrivateKey.generate()}
            self._write(self._opened(), replace(self._taking, signing_keys=keys))
        return key_id

    def signing_key_ids(self) -> frozenset[str]:
        """Give the ids of all signing keys."""
        return frozenset(self._taking.signing_keys)

    def sign(self, key_id: str, message: bytes) -> bytes:
        """Sign with Ed25519 and give the 64 bytes of the signature."""
        return self._signing_key(key_id).sign(message)

    def public_key(self, key_id: str) -> bytes:
        """Give the 32 bytes of a signing key's public half."""
        return self._signing_key(key_id).public_key().public_bytes_raw()

    def create_certificate_key(self) -> str:
        """Make a P-256 key durably and give its id."""
        key_id = os.urandom(ID_BYTES).hex()
        with self._lock:
            keys = {**self._taking.certificate_keys, key_id: generate_private_key(SECP256R1())}
            self._write(self._opened(), replace(self._taking, certificate_keys=keys))
        return key_id

    def sign_certificate(self, key_id: str, message: bytes) -> bytes:
        """Sign with ECDSA and SHA-256, and give the signature in DER."""
        return self._certificate_key(key_id).sign(message, ECDSA(SHA256()))

    def certificate_key(self, key_id: str) -> EllipticCurvePublicKey:
        """Give a certificate key's public half."""
        return self._certificate_key(key_id).public_key()

    def check(self) -> None:
        """Read again all that is stored and compare it with what is in use, changing nothing."""
        with self._lock, self._disk.reading() as stored:
            stored.require_settled()
            if not self._read_only:  # beside a reader, the owner may have written since
                self._require_unchanged(stored)
            if self._opening is not None:
                stored.file.header.require(self._custodian)
                opening = stored.file.open_opening(self._custodian, stored.epoch.secret)
                if opening != self._opening and not self._read_only:
                    raise IntegrityError("key-file-changed")
                wipe(*opening.disposal_keys.values())

    def _opened(self) -> OpeningPart:
        if self._opening is None:
            raise SealedError("vault-sealed")
        return self._opening

    def _disposal_key(self, key_id: str) -> bytearray:
        opening = self._opened()
        if key_id in opening.tombstones:
            raise RefusedError("disposal-key-destroyed", key_id=key_id)
        if key_id not in opening.disposal_keys:
            raise NotFoundError("disposal-key-unknown", key_id=key_id)
        return opening.disposal_keys[key_id]

    def _signing_key(self, key_id: str) -> Ed25519PrivateKey:
        key = self._taking.signing_keys.get(key_id)
        if key is None:
            raise NotFoundError("signing-key-unknown", key_id=key_id)
        return key

    def _certificate_key(self, key_id: str) -> EllipticCurvePrivateKey:
        key = self._taking.certificate_keys.get(key_id)
        if key is None:
            raise NotFoundError("certificate-key-unknown", key_id=key_id)
        return key

    def _settle(self, stored: StoredKeys) -> None:
        """Take over what was read, having finished a run that was cut."""
        self.finished_cut_run = not self._read_only and self._disk.finish_cut_run(stored)
        self._header, self._taking = stored.file.header, stored.taking

    def _require_unchanged(self, stored: StoredKeys) -> None:
        """Stop where another process wrote the file: writing over it would lose its keys for ever."""
        if stored.file.header != self._header:
            raise IntegrityError("key-file-changed")

    def _write(
        self,
        opening: OpeningPart,
        taking: TakingPart,
        *,
        new_epoch: bool = False,
        custodian: tuple[CustodianParameters, bytearray] | None = None,
    ) -> None:
        """Make both parts durable, then use them; after an error of unknown outcome the store is sealed."""
        if self._read_only:
            raise RefusedError("key-store-read-only")
        parameters, secret = custodian or (self._header.custodian, self._custodian)
        with self._disk.reading() as stored:
            self._require_unchanged(stored)
            epoch = _new_epoch(stored.epoch.number + 1) if new_epoch else stored.epoch
            header = replace(
                self._header,
                generation=self._header.generation + 1,
                epoch=epoch.number,
                custodian=parameters,
                check_value=check_value(secret),
            )
            data = seal_key_file(header, opening, taking, KeyFileSecrets(secret, epoch.secret, _nonces()))
            try:
                if new_epoch:
                    self._disk.rewrite_under(epoch, data, stored.slot)
                else:
                    self._disk.rewrite(data)
            except BaseException:
                self.seal()  # what is stored decides, at the next opening; in memory nobody knows
                raise
            finally:
                wipe(epoch.secret)
        self._opening, self._taking, self._header, self._custodian = opening, taking, header, secret


def _new_epoch(number: int) -> Epoch:
    return Epoch(number, bytearray(os.urandom(SECRET_BYTES)))


def _nonces() -> tuple[bytes, bytes]:
    return os.urandom(NONCE_BYTES), os.urandom(NONCE_BYTES)
