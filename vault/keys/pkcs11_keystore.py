"""The key store in an HSM, by PKCS#11: two tokens, one whose PIN lies in a file and one that custodians open.

The *taking token* holds the keys that sign (`pkcs11_signing.py`) and the record by which custodians are known
(`pkcs11_custodians.py`). Its PIN lies in a file that only the service reads, so that a sealed vault signs. The
*opening token* holds the disposal keys (`pkcs11_inside.py`), or the one key that those in a file are wrapped under
(`pkcs11_outside.py`). Its PIN is derived from the custodians' secret and stands nowhere: who has the service's machine
and the PIN file opens nothing on it.

A device that is gone seals the opening part; signing resumes by itself. Destroyed is what the device destroys: whether
its memory keeps anything, and what its maker's backups hold, is the device's promise and not ours.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from pkcs11.types import Session

from vault.errors import ConflictError, IntegrityError, NotFoundError, RefusedError, SealedError, UnavailableError
from vault.keys.custodian import SCRYPT_LOG2_N, CustodianSecret
from vault.keys.pkcs11_custodians import candidate_pins, read_records, remove_other_records
from vault.keys.pkcs11_outside import OutsideKeys
from vault.keys.pkcs11_parts import Pkcs11Parts
from vault.keys.pkcs11_session import away, read_pin
from vault.keys.pkcs11_signing import AUTHORITY, LEDGER
from vault.keys.pkcs11_uri import HsmAddress
from vault.keys.pkcs11_wrapping import unwrap, wrap, wrapping_mechanism

T = TypeVar("T")


class Pkcs11KeyStore:
    """A key store in an HSM; keeps the contract of `vault.keys.keystore.KeyStore`.

    Attributes:
        finished_cut_run: whether the last opening found a run that a crash had cut, and finished it.
    """

    def __init__(self, address: HsmAddress, vault_id: str, path: Path, *, read_only: bool = False) -> None:
        """Take a store that exists, sealed, having tried the device with a known answer.

        Args:
            address: where its keys are.
            vault_id: which vault's they are, as one taking token may serve several.
            path: file of the wrapped disposal keys, where they lie outside.
            read_only: change nothing, not even to finish a run that was cut.

        Raises:
            NotFoundError: `hsm-not-set-up`.
            RefusedError: `hsm-pin-file`, `hsm-pin-wrong`, `hsm-pin-locked` or `hsm-mechanism-wrong`.
            UnavailableError: `hsm-away`.
        """
        self._parts = Pkcs11Parts(address, vault_id, path, read_only=read_only)
        self._read_only = read_only
        self._is_open = False
        self.finished_cut_run = False
        self._parts.taking.run(lambda session: read_records(session, self._parts.owner))

    @classmethod
    def create(
        cls,
        address: HsmAddress,
        vault_id: str,
        path: Path,
        custodian: CustodianSecret,
        *,
        scrypt_log2_n: int = SCRYPT_LOG2_N,
    ) -> "Pkcs11KeyStore":
        """Set up two tokens for a new vault and give its store, opened.

        The opening token must be new: it still has the PIN of the taking token, and from here on the custodians'.

        Raises:
            ConflictError: `key-store-exists`.
            RefusedError: `hsm-opening-taken`: the opening token has another PIN; else as the constructor.
            UnavailableError: `hsm-away`, `hsm-full` or `key-store-write-failed`.
        """
        parts = Pkcs11Parts(address, vault_id, path, read_only=False)
        pin = read_pin(address.pin_file)
        try:
            parts.opening.log_in(pin)
        except RefusedError as error:
            if error.code != "hsm-pin-wrong":
                raise
            raise RefusedError("hsm-opening-taken", token=address.opening_token) from error
        try:
            if parts.has_records():
                raise ConflictError("key-store-exists")
            with parts.library.alone(), away(address.opening_token):
                if isinstance(parts.disposal, OutsideKeys):
                    parts.disposal.make(parts.opening.session())
                # A crash up to here leaves an opening token that another setting up takes as it is.
                parts.hand_over(custodian, scrypt_log2_n)
        finally:
            parts.opening.log_out()
        store = cls(address, vault_id, path)
        store.unseal(custodian)
        return store

    @property
    def is_sealed(self) -> bool:
        """Whether the opening part is closed; it is, too, once the device was found to have been away."""
        return not (self._is_open and self._parts.opening.is_logged_in)

    def unseal(self, custodian: CustodianSecret) -> None:
        """Open the opening part, having finished whatever a crash had cut."""
        parts = self._parts
        records = parts.taking.run(lambda session: read_records(session, parts.owner))
        pins = candidate_pins(records, custodian)  # takes long on purpose: not under the lock, so that signing goes on
        with parts.library.alone():
            right = parts.log_in(pins)
            try:
                with away(parts.opening.label):
                    session = parts.opening.session()
                    wrapping_mechanism(session, parts.mechanism)
                    parts.disposal.begin(session)
                removed = not self._read_only and parts.taking.run(
                    lambda session: remove_other_records(session, parts.owner, right)
                )
            except BaseException:
                self.seal()
                raise
            self._is_open = True
            self.finished_cut_run = removed or parts.disposal.finished_cut_run

    def seal(self) -> None:
        """Close the opening part and forget its PIN."""
        with self._parts.library.alone():
            self._is_open = False
            self._parts.disposal.end()
            self._parts.opening.log_out()

    def replace_custodian(self, custodian: CustodianSecret, *, scrypt_log2_n: int = SCRYPT_LOG2_N) -> None:
        """Let another passphrase or other shares open the store from now on: the opening token gets another PIN."""
        self._changing(lambda _: self._parts.hand_over(custodian, scrypt_log2_n))

    def create_disposal_keys(self, count: int) -> list[str]:
        """Make AES-256 keys inside the device and give their ids."""
        return self._changing(lambda session: self._parts.disposal.create(session, count))

    def wrap(self, key_id: str, plaintext: bytes) -> bytes:
        """Wrap `plaintext` under a disposal key with AES-KWP."""
        parts = self._parts
        return self._opened(
            lambda session: parts.disposal.use(
                session, key_id, lambda key: wrap(session, key, parts.mechanism, plaintext)
            )
        )

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        """Unwrap what `wrap` gave."""
        parts = self._parts
        return self._opened(
            lambda session: parts.disposal.use(
                session, key_id, lambda key: unwrap(session, key, parts.mechanism, wrapped, key_id)
            )
        )

    def destroy(self, key_ids: Collection[str], at: datetime) -> None:
        """Destroy disposal keys for good and keep a tombstone of each; all of them or, on an error, none."""
        if at.tzinfo is None:
            raise ValueError(at)
        self._changing(lambda session: self._parts.disposal.destroy(session, key_ids, at))

    def disposal_key_ids(self) -> frozenset[str]:
        """Give the ids of all disposal keys that exist."""
        return self._opened(self._parts.disposal.ids)

    def tombstones(self) -> Mapping[str, datetime]:
        """Say for each destroyed key when it was destroyed (UTC)."""
        return MappingProxyType(dict(self._opened(self._parts.disposal.tombstones)))

    def create_signing_key(self) -> str:
        """Make an Ed25519 pair durably and give its id."""
        return self._changing(lambda _: self._parts.signing.create(LEDGER))

    def signing_key_ids(self) -> frozenset[str]:
        """Give the ids of all signing keys."""
        return self._parts.signing.ids(LEDGER)

    def sign(self, key_id: str, message: bytes) -> bytes:
        """Sign with Ed25519 and give the 64 bytes of the signature."""
        return self._parts.signing.sign(LEDGER, key_id, message)

    def public_key(self, key_id: str) -> bytes:
        """Give the 32 bytes of a signing key's public half."""
        return self._parts.signing.public(LEDGER, key_id)

    def create_certificate_key(self) -> str:
        """Make a P-256 pair durably and give its id."""
        return self._changing(lambda _: self._parts.signing.create(AUTHORITY))

    def sign_certificate(self, key_id: str, message: bytes) -> bytes:
        """Sign with ECDSA and SHA-256, and give the signature in DER."""
        return self._parts.signing.sign(AUTHORITY, key_id, message)

    def certificate_key(self, key_id: str) -> EllipticCurvePublicKey:
        """Give a certificate key's public half."""
        return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), self._parts.signing.public(AUTHORITY, key_id))

    def check(self) -> None:
        """Read again all that is stored and compare it with what is in use, changing nothing."""
        parts = self._parts
        if len(parts.taking.run(lambda session: read_records(session, parts.owner))) != 1:
            raise IntegrityError("hsm-run-unfinished")
        if not self.is_sealed:
            self._opened(parts.disposal.check)

    def _opened(self, act: Callable[[Session], T]) -> T:
        """Do something on the opening token; where it is gone, so is its opening.

        What is not found is looked for anew: see `TokenSession.run`.
        """
        library, opening = self._parts.library, self._parts.opening
        with library.alone():
            if self.is_sealed:
                self.seal()
                raise SealedError("vault-sealed")
            seen = library.generation
            try:
                with away(opening.label):
                    try:
                        return act(opening.session())
                    except NotFoundError:
                        library.begin_anew(seen)
                        return act(opening.session())
            except UnavailableError as error:
                if error.code != "hsm-full":
                    self.seal()  # what is stored decides, at the next opening; in memory nobody knows
                raise

    def _changing(self, act: Callable[[Session], T]) -> T:
        if self._read_only and not self.is_sealed:
            raise RefusedError("key-store-read-only")
        return self._opened(act)
