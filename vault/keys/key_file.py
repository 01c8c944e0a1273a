"""The bytes of the sealed key file: header, opening section, taking section; no disk here (`key_disk.py`).

    kura-key-store
    {"check":…,"custodian":{…},"epoch":…,"format":1,"generation":…,"opening_bytes":…,"taking_bytes":…}
    <opening section><taking section>

The first two lines are text and end with a line feed; the second is canonical JSON (RFC 8785). A section is a nonce
of 12 bytes and then AES-256-GCM with its tag. What it is bound to is everything that stands before it in the file, so
opening the taking section proves every byte of the file, also while the store is sealed. Keys, by HKDF-SHA256 without
salt, 32 bytes each:

    opening section   from custodian secret || epoch secret
    taking section    from the epoch secret alone
    check value       from the custodian secret alone: tells a wrong secret from a damaged file

The check value lets whoever holds the file try passphrases, as the file and the epoch secret together would anyway;
scrypt makes each trial dear, and shares cannot be guessed at all.
"""

import json
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault.canonical_json import canonical_json
from vault.errors import IntegrityError, RefusedError
from vault.keys.custodian import SALT_BYTES, CustodianParameters, PassphraseParameters, ShareParameters
from vault.keys.key_parts import OpeningPart, TakingPart
from vault.keys.wiping import wipe

NONCE_BYTES = 12
_KEY_BYTES, _TAG_BYTES = 32, 16
_MAGIC = b"kura-key-store\n"
_FORMAT = 1
_MAX_LOG2_N = 24  # 16 GiB: a damaged header shall not make the machine run out of memory before it is noticed


@dataclass(frozen=True, slots=True)
class KeyFileHeader:
    """What stands in the open part of the key file.

    Attributes:
        generation: 1 for the first writing, one more for each further one.
        epoch: number of the epoch whose secret the file is sealed under.
        custodian: how the custodians' input becomes their secret.
        check_value: 32 bytes, see `check_value`.
    """

    generation: int
    epoch: int
    custodian: CustodianParameters
    check_value: bytes

    def require(self, custodian_secret: bytearray) -> None:
        """Refuse a custodian secret that is not this store's.

        Raises:
            RefusedError: `custodian-secret-wrong`.
        """
        if not compare_digest(check_value(custodian_secret), self.check_value):
            raise RefusedError("custodian-secret-wrong")


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file taken apart, its sections still sealed."""

    header: KeyFileHeader
    header_bytes: bytes
    opening: bytes
    taking: bytes

    def open_taking(self, epoch_secret: bytearray) -> TakingPart:
        """Open the taking section, which proves every byte of the file.

        Raises:
            IntegrityError: `key-file-damaged`.
        """
        plaintext = _open(_taking_key(epoch_secret), self.taking, self.header_bytes + self.opening)
        part = TakingPart.decode(plaintext)
        wipe(plaintext)
        return part

    def open_opening(self, custodian_secret: bytearray, epoch_secret: bytearray) -> OpeningPart:
        """Open the opening section with a custodian secret that `KeyFileHeader.require` has let pass.

        Raises:
            IntegrityError: `key-file-damaged`.
        """
        plaintext = _open(_root_key(custodian_secret, epoch_secret), self.opening, self.header_bytes)
        part = OpeningPart.decode(plaintext)
        wipe(plaintext)
        return part


@dataclass(frozen=True, slots=True)
class KeyFileSecrets:
    """What a key file is sealed under: the custodians' secret and the epoch's, and two nonces of 12 random bytes."""

    custodian: bytearray = field(repr=False)
    epoch: bytearray = field(repr=False)
    nonces: tuple[bytes, bytes]


def seal_key_file(header: KeyFileHeader, opening: OpeningPart, taking: TakingPart, secrets: KeyFileSecrets) -> bytes:
    """Give the bytes of a key file that holds both parts."""
    opening_plain, taking_plain = opening.encode(), taking.encode()
    added = NONCE_BYTES + _TAG_BYTES
    header_bytes = _encode_header(header, len(opening_plain) + added, len(taking_plain) + added)
    root = _root_key(secrets.custodian, secrets.epoch)
    opening_sealed = _seal(root, secrets.nonces[0], opening_plain, header_bytes)
    taking_key = _taking_key(secrets.epoch)
    taking_sealed = _seal(taking_key, secrets.nonces[1], taking_plain, header_bytes + opening_sealed)
    wipe(opening_plain, taking_plain)
    return header_bytes + opening_sealed + taking_sealed


def parse_key_file(data: bytes) -> KeyFile:
    """Take a key file apart. Nothing in it is proven before its taking section has been opened.

    Raises:
        IntegrityError: `key-file-damaged`.
    """
    line_end = data.find(b"\n", len(_MAGIC)) + 1
    if not data.startswith(_MAGIC) or not line_end:
        raise IntegrityError("key-file-damaged")
    try:
        fields = json.loads(data[len(_MAGIC) : line_end])
        opening_bytes, taking_bytes = int(fields["opening_bytes"]), int(fields["taking_bytes"])
        header = _decode_header(fields)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError("key-file-damaged") from error
    sections = data[line_end:]
    smallest = NONCE_BYTES + _TAG_BYTES
    if min(opening_bytes, taking_bytes) < smallest or opening_bytes + taking_bytes != len(sections):
        raise IntegrityError("key-file-damaged")
    return KeyFile(header, data[:line_end], sections[:opening_bytes], sections[opening_bytes:])


def check_value(custodian_secret: bytearray) -> bytes:
    """Give the 32 bytes by which a custodian secret is known again."""
    return bytes(_derive(custodian_secret, b"kura key store custodian check v1"))


def _encode_header(header: KeyFileHeader, opening_bytes: int, taking_bytes: int) -> bytes:
    fields: dict[str, Any] = {
        "check": header.check_value.hex(),
        "custodian": encode_custodian(header.custodian),
        "epoch": header.epoch,
        "format": _FORMAT,
        "generation": header.generation,
        "opening_bytes": opening_bytes,
        "taking_bytes": taking_bytes,
    }
    return _MAGIC + canonical_json(fields) + b"\n"


def encode_custodian(parameters: CustodianParameters) -> dict[str, str | int]:
    """Give custodian parameters as JSON."""
    if isinstance(parameters, PassphraseParameters):
        return {"kind": "passphrase", "salt": parameters.salt.hex(), "scrypt_log2_n": parameters.log2_n}
    return {"kind": "shares", "threshold": parameters.threshold, "count": parameters.count}


def _decode_header(fields: dict[str, object]) -> KeyFileHeader:
    check = bytes.fromhex(str(fields["check"]))
    custodian = fields["custodian"]
    if fields["format"] != _FORMAT or not isinstance(custodian, dict):
        raise ValueError(fields["format"])
    return KeyFileHeader(_whole(fields["generation"]), _whole(fields["epoch"]), decode_custodian(custodian), check)


def decode_custodian(fields: dict[str, object]) -> CustodianParameters:
    """Read what `encode_custodian` gave.

    Raises:
        ValueError, KeyError or TypeError: it is nothing of the kind.
    """
    if fields["kind"] == "shares":
        return ShareParameters(_whole(fields["threshold"]), _whole(fields["count"]))
    salt, log2_n = bytes.fromhex(str(fields["salt"])), _whole(fields["scrypt_log2_n"])
    if fields["kind"] != "passphrase" or len(salt) != SALT_BYTES or log2_n > _MAX_LOG2_N:
        raise ValueError(fields["kind"])
    return PassphraseParameters(salt, log2_n)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise TypeError(value)
    return value


def _seal(key: bytearray, nonce: bytes, plaintext: bytearray, bound_to: bytes) -> bytes:
    sealed = nonce + AESGCM(key).encrypt(nonce, plaintext, bound_to)
    wipe(key)
    return sealed


def _open(key: bytearray, section: bytes, bound_to: bytes) -> bytearray:
    plaintext = bytearray(len(section) - NONCE_BYTES - _TAG_BYTES)
    try:
        AESGCM(key).decrypt_into(section[:NONCE_BYTES], section[NONCE_BYTES:], bound_to, plaintext)
    except InvalidTag as error:
        wipe(plaintext)
        raise IntegrityError("key-file-damaged") from error
    finally:
        wipe(key)
    return plaintext


def _root_key(custodian_secret: bytearray, epoch_secret: bytearray) -> bytearray:
    both = custodian_secret + epoch_secret
    root = _derive(both, b"kura key store root v1")
    wipe(both)
    return root


def _taking_key(epoch_secret: bytearray) -> bytearray:
    return _derive(epoch_secret, b"kura key store taking part v1")


def _derive(secret: bytearray, info: bytes) -> bytearray:
    derived = bytearray(_KEY_BYTES)
    HKDF(SHA256(), _KEY_BYTES, None, info).derive_into(secret, derived)
    return derived
