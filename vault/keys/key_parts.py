"""What a key store holds, as values, and their encoding in bytes; leaves out how these are sealed (`key_file.py`)."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.errors import IntegrityError

ID_BYTES = 16
KEY_BYTES = 32
_COUNT_BYTES = 4
_INSTANT_BYTES = 8
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TakingPart:
    """What a sealed vault may use: the ledgers' signing keys and the authority's certificate keys, by id."""

    signing_keys: Mapping[str, Ed25519PrivateKey] = field(repr=False)
    certificate_keys: Mapping[str, EllipticCurvePrivateKey] = field(repr=False)  # on P-256

    def encode(self) -> bytearray:
        """Give both lists, each a uint32 count and then its entries in order of id, big endian.

        A signing key is id (16 bytes), seed (32 bytes); a certificate key is id (16 bytes), private value (32 bytes).
        Where there is no certificate key its list is absent, as in files from before there were any.
        """
        encoded = _count(self.signing_keys)
        for key_id in sorted(self.signing_keys):
            encoded += bytes.fromhex(key_id) + self.signing_keys[key_id].private_bytes_raw()
        if self.certificate_keys:
            encoded += _count(self.certificate_keys)
        for key_id in sorted(self.certificate_keys):
            value = self.certificate_keys[key_id].private_numbers().private_value
            encoded += bytes.fromhex(key_id) + value.to_bytes(KEY_BYTES, "big")
        return encoded

    @classmethod
    def decode(cls, data: bytearray) -> "TakingPart":
        """Read what `encode` gave.

        Raises:
            IntegrityError: `key-file-damaged`.
        """
        seeds, middle = _entries(data, 0, KEY_BYTES)
        values, end = _entries(data, middle, KEY_BYTES) if middle < len(data) else ([], middle)
        _expect_end(data, end)
        try:
            certificate_keys = {
                key_id: derive_private_key(int.from_bytes(value, "big"), SECP256R1()) for key_id, value in values
            }
        except ValueError as error:  # no private value of this curve
            raise IntegrityError("key-file-damaged") from error
        return cls({key_id: Ed25519PrivateKey.from_private_bytes(seed) for key_id, seed in seeds}, certificate_keys)


@dataclass(frozen=True, slots=True)
class OpeningPart:
    """What only custodians open: disposal keys by id, and when each destroyed one was destroyed."""

    disposal_keys: Mapping[str, bytearray] = field(repr=False)
    tombstones: Mapping[str, datetime]

    def with_keys(self, keys: Mapping[str, bytearray]) -> "OpeningPart":
        """Add keys, whose ids must be new."""
        return OpeningPart({**self.disposal_keys, **keys}, self.tombstones)

    def without_keys(self, key_ids: Collection[str], at: datetime) -> "OpeningPart":
        """Put tombstones in the place of keys that are held."""
        kept = {key_id: key for key_id, key in self.disposal_keys.items() if key_id not in key_ids}
        return OpeningPart(kept, {**self.tombstones, **dict.fromkeys(key_ids, at.astimezone(UTC))})

    def encode(self) -> bytearray:
        """Give both lists, each a uint32 count and then its entries in order of id, big endian.

        A disposal key is id (16 bytes), key (32 bytes); a tombstone is id (16 bytes), microseconds since 1970 UTC
        (int64).
        """
        encoded = _count(self.disposal_keys)
        for key_id in sorted(self.disposal_keys):
            encoded += bytes.fromhex(key_id) + self.disposal_keys[key_id]
        encoded += _count(self.tombstones)
        for key_id in sorted(self.tombstones):
            microseconds = (self.tombstones[key_id] - _EPOCH) // timedelta(microseconds=1)
            encoded += bytes.fromhex(key_id) + microseconds.to_bytes(_INSTANT_BYTES, "big", signed=True)
        return encoded

    @classmethod
    def decode(cls, data: bytearray) -> "OpeningPart":
        """Read what `encode` gave.

        Raises:
            IntegrityError: `key-file-damaged`.
        """
        keys, middle = _entries(data, 0, KEY_BYTES)
        instants, end = _entries(data, middle, _INSTANT_BYTES)
        _expect_end(data, end)
        tombstones = {
            key_id: _EPOCH + timedelta(microseconds=int.from_bytes(instant, "big", signed=True))
            for key_id, instant in instants
        }
        return cls(dict(keys), tombstones)


def _count(entries: Collection[str]) -> bytearray:
    return bytearray(len(entries).to_bytes(_COUNT_BYTES, "big"))


def _entries(data: bytearray, start: int, value_bytes: int) -> tuple[list[tuple[str, bytearray]], int]:
    """Read one list and say where it ends."""
    first, step = start + _COUNT_BYTES, ID_BYTES + value_bytes
    end = first + int.from_bytes(data[start:first], "big") * step
    if first > len(data) or end > len(data):
        raise IntegrityError("key-file-damaged")

    def read() -> Iterator[tuple[str, bytearray]]:
        for at in range(first, end, step):
            yield data[at : at + ID_BYTES].hex(), data[at + ID_BYTES : at + step]

    return list(read()), end


def _expect_end(data: bytearray, end: int) -> None:
    if end != len(data):
        raise IntegrityError("key-file-damaged")
