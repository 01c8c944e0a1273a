"""Envelopes: a wrapping key sealed to a bucket's public half, and the data keys it wraps; no rows here.

One HPKE operation serves all records of a bucket in one commit: it costs fifty times what the rest of a wrap costs.
Each record still has a data key of its own, wrapped alone.

Sources: RFC 9180 (DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode); RFC 5649.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding, aes_key_wrap_with_padding

from vault.errors import IntegrityError

_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A wrapping key (32 bytes) and the bucket it is sealed to."""

    id: str
    bucket_id: str
    key: bytes

    def seal(self, public_key: bytes) -> bytes:
        """Seal the wrapping key to the bucket's X25519 public half: 80 bytes, the encapsulated key first."""
        return _SUITE.encrypt(self.key, X25519PublicKey.from_public_bytes(public_key), _info(self.bucket_id, self.id))

    @classmethod
    def open(cls, envelope_id: str, bucket_id: str, sealed: bytes, private_key: X25519PrivateKey) -> "Envelope":
        """Open what `seal` gave.

        Raises:
            IntegrityError: it is not what was sealed to this bucket under this id.
        """
        try:
            return cls(envelope_id, bucket_id, _SUITE.decrypt(sealed, private_key, _info(bucket_id, envelope_id)))
        except (InvalidTag, ValueError) as error:
            raise IntegrityError("envelope-altered", envelope=envelope_id) from error

    def wrap(self, data_key: bytes) -> bytes:
        """Wrap a data key (32 bytes): 40 bytes."""
        return aes_key_wrap_with_padding(self.key, data_key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Unwrap a data key.

        Raises:
            IntegrityError: it was not wrapped under this envelope's key.
        """
        try:
            return aes_key_unwrap_with_padding(self.key, wrapped)
        except (InvalidUnwrap, ValueError) as error:
            raise IntegrityError("data-key-altered", envelope=self.id) from error


def _info(bucket_id: str, envelope_id: str) -> bytes:
    return f"kura/envelope/v1\n{bucket_id}\n{envelope_id}\n".encode()
