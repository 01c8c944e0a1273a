"""A record's sealed metadata: digest, salt, and what may point to a citizen. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from vault.canonical_json import canonical_json
from vault.errors import IntegrityError
from vault.sealing.small import METADATA, open_small, seal_small

_DIGEST, _SALT, _FLAW = "digest", "salt", "flaw"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is sealed beside the bytes.

    Attributes:
        digest: SHA-256 of the original.
        salt: 32 random bytes; the ledger has SHA-256(salt ‖ digest).
        fields: subject key and file name, where given.
        flaw: code of what the intake check found, for a quarantined record.
    """

    digest: bytes
    salt: bytes
    fields: Mapping[str, str]
    flaw: str | None = None

    def seal(self, data_key: bytes, contract_id: str, record_id: str, *, nonce: bytes) -> bytes:
        """Seal under the record's data key, bound to contract and record."""
        values = dict(self.fields) | {_DIGEST: self.digest.hex(), _SALT: self.salt.hex()}
        if self.flaw is not None:
            values[_FLAW] = self.flaw
        return seal_small(data_key, METADATA, _bound_to(contract_id, record_id), canonical_json(values), nonce=nonce)

    @classmethod
    def open(cls, data_key: bytes, contract_id: str, record_id: str, sealed: bytes) -> "Metadata":
        """Open what `seal` gave.

        Raises:
            IntegrityError: it was altered, or belongs to another record.
        """
        plain = open_small(data_key, METADATA, _bound_to(contract_id, record_id), sealed)
        try:
            values: dict[str, str] = json.loads(plain)
            digest, salt = bytes.fromhex(values.pop(_DIGEST)), bytes.fromhex(values.pop(_SALT))
        except (ValueError, KeyError) as error:
            raise IntegrityError("sealed-part-altered", purpose=METADATA) from error
        return cls(digest, salt, values, values.pop(_FLAW, None))


def _bound_to(contract_id: str, record_id: str) -> bytes:
    return f"{contract_id}\n{record_id}".encode()
