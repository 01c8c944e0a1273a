"""A key store in memory, stricter than any real one: it fails the test where a caller breaks the protocol."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from vault.errors import NotFoundError, RefusedError, SealedError
from vault.keys.custodian import SALT_BYTES, CustodianParameters, CustodianSecret
from vault.keys.key_wrap import unwrap_key, wrap_key


@dataclass
class MemoryDisk:
    """What outlives a process."""

    parameters: CustodianParameters
    secret: bytes
    disposal: dict[str, bytes] = field(default_factory=dict)
    dead: dict[str, datetime] = field(default_factory=dict)
    signing: dict[str, Ed25519PrivateKey] = field(default_factory=dict)
    certificate: dict[str, EllipticCurvePrivateKey] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)


class MemoryKeyStore:
    """A `KeyStore` on a disk in memory."""

    def __init__(self, disk: MemoryDisk, *, read_only: bool = False) -> None:
        self._disk = disk
        self._read_only = read_only
        self._is_open = False

    @staticmethod
    def new_disk(custodian: CustodianSecret) -> MemoryDisk:
        parameters = custodian.new_parameters(os.urandom(SALT_BYTES), 4)
        return MemoryDisk(parameters, bytes(custodian.derive(parameters)))

    @property
    def is_sealed(self) -> bool:
        return not self._is_open

    def unseal(self, custodian: CustodianSecret) -> None:
        if bytes(custodian.derive(self._disk.parameters)) != self._disk.secret:
            raise RefusedError("custodian-secret-wrong")
        self._is_open = True

    def seal(self) -> None:
        self._is_open = False

    def replace_custodian(self, custodian: CustodianSecret, *, scrypt_log2_n: int = 4) -> None:
        self._require_changeable()
        self._disk.parameters = custodian.new_parameters(os.urandom(SALT_BYTES), scrypt_log2_n)
        self._disk.secret = bytes(custodian.derive(self._disk.parameters))

    def create_disposal_keys(self, count: int) -> list[str]:
        self._require_changeable()
        assert count >= 0, "a negative number of keys"
        ids = [self._new_id() for _ in range(count)]
        self._disk.disposal |= {key_id: os.urandom(32) for key_id in ids}
        return ids

    def wrap(self, key_id: str, plaintext: bytes) -> bytes:
        return wrap_key(self._disposal_key(key_id), plaintext)

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        return unwrap_key(self._disposal_key(key_id), wrapped, key_id)

    def destroy(self, key_ids: Collection[str], at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError(at)
        self._require_changeable()
        for key_id in key_ids:
            if key_id not in self._disk.disposal and key_id not in self._disk.dead:
                raise NotFoundError("disposal-key-unknown", key_id=key_id)
        for key_id in key_ids:
            if self._disk.disposal.pop(key_id, None) is not None:
                self._disk.dead[key_id] = at.astimezone(UTC)

    def disposal_key_ids(self) -> frozenset[str]:
        self._require_open()
        return frozenset(self._disk.disposal)

    def tombstones(self) -> Mapping[str, datetime]:
        self._require_open()
        return dict(self._disk.dead)

    def create_signing_key(self) -> str:
        self._require_changeable()
        key_id = self._new_id()
        self._disk.signing[key_id] = Ed25519PrivateKey.generate()
        return key_id

    def signing_key_ids(self) -> frozenset[str]:
        return frozenset(self._disk.signing)

    def sign(self, key_id: str, message: bytes) -> bytes:
        assert message, "an empty message says nothing"
        return self._signing_key(key_id).sign(message)

    def public_key(self, key_id: str) -> bytes:
        return self._signing_key(key_id).public_key().public_bytes_raw()

    def create_certificate_key(self) -> str:
        self._require_changeable()
        key_id = self._new_id()
        self._disk.certificate[key_id] = generate_private_key(SECP256R1())
        return key_id

    def sign_certificate(self, key_id: str, message: bytes) -> bytes:
        return self._certificate_key(key_id).sign(message, ECDSA(SHA256()))

    def certificate_key(self, key_id: str) -> EllipticCurvePublicKey:
        return self._certificate_key(key_id).public_key()

    def check(self) -> None:
        assert not self._disk.disposal.keys() & self._disk.dead.keys(), "a destroyed key is still there"

    def _require_open(self) -> None:
        if not self._is_open:
            raise SealedError("vault-sealed")

    def _require_changeable(self) -> None:
        self._require_open()
        if self._read_only:
            raise RefusedError("key-store-read-only")

    def _new_id(self) -> str:
        key_id = os.urandom(16).hex()
        assert key_id not in self._disk.given, "an id was given twice"
        self._disk.given.add(key_id)
        return key_id

    def _disposal_key(self, key_id: str) -> bytes:
        self._require_open()
        if key_id in self._disk.dead:
            raise RefusedError("disposal-key-destroyed", key_id=key_id)
        if key_id not in self._disk.disposal:
            raise NotFoundError("disposal-key-unknown", key_id=key_id)
        return self._disk.disposal[key_id]

    def _signing_key(self, key_id: str) -> Ed25519PrivateKey:
        if key_id not in self._disk.signing:
            raise NotFoundError("signing-key-unknown", key_id=key_id)
        return self._disk.signing[key_id]

    def _certificate_key(self, key_id: str) -> EllipticCurvePrivateKey:
        if key_id not in self._disk.certificate:
            raise NotFoundError("certificate-key-unknown", key_id=key_id)
        return self._disk.certificate[key_id]
