"""Signed notes with Ed25519 keys: a text and the lines that sign it. Leaves out what the text says and who holds keys.

Source: C2SP signed-note; example:

    vault.example.lg.jp/audit
    70
    N0B9N545CvHumzIbnqLLYtCJ8OksctruDxzTHeqXF4k=

    — vault.example.lg.jp/audit jmsIj36AbL4sFr7aTw4Qk/8rYAWAkGpv43s7bYZrdJUIy1vg7C2ZsnXinTxV9LEeyMPsnFYnLd48SxF6…

Cosignatures of witnesses are signature lines too, of other types: `parse_note` gives them unchecked.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from vault.errors import IntegrityError, RefusedError
from vault.ledger.strict_text import decode_base64, encode_base64

ED25519_TYPE = 0x01
MAX_SIGNATURES = 64  # the specification asks for at least 16
_KEY_ID_BYTES = 4
_PUBLIC_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_DASH = "\N{EM DASH} "
_NOT_IN_NOTE = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")  # control characters but newline; not UTF-8
_NOT_IN_NAME = re.compile(r"[\s+\x00-\x1f\ud800-\udfff]")

SignFunction = Callable[[bytes], bytes]
"""Signs a message with the Ed25519 key it stands for: 64 bytes (RFC 8032)."""


def derive_key_id(name: str, signature_type: int, public_key: bytes) -> bytes:
    """Compute the 4-byte key id that signature lines of a key carry. Source: C2SP signed-note, "Signatures"."""
    return sha256(name.encode() + b"\n" + bytes([signature_type]) + public_key).digest()[:_KEY_ID_BYTES]


def is_key_name(name: str) -> bool:
    """Say whether `name` may name a key: not empty, no Unicode space, no plus sign, no control character."""
    return bool(name) and _NOT_IN_NAME.search(name) is None


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public Ed25519 key that signs notes under a name.

    Raises RefusedError `verifier-key-malformed` unless name, key id (4 bytes) and key (32 bytes) belong together.
    """

    name: str
    key_id: bytes
    public_key: bytes

    def __post_init__(self) -> None:
        """Refuse a key whose parts do not belong together."""
        if not is_key_name(self.name) or len(self.public_key) != _PUBLIC_KEY_BYTES:
            raise RefusedError("verifier-key-malformed")
        if self.key_id != derive_key_id(self.name, ED25519_TYPE, self.public_key):
            raise RefusedError("verifier-key-malformed")

    @classmethod
    def named(cls, name: str, public_key: bytes) -> Self:
        """Give the verifier key of a public key (32 bytes) under a name."""
        if not is_key_name(name):
            raise RefusedError("verifier-key-malformed")
        return cls(name, derive_key_id(name, ED25519_TYPE, public_key), public_key)

    def encode(self) -> str:
        """Write the key as people hand it on: `<name>+<key id in hex>+<base64 of the type byte and the key>`."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([ED25519_TYPE]) + self.public_key)}"

    @classmethod
    def decode(cls, vkey: str) -> Self:
        """Read what `encode` wrote.

        Raises:
            RefusedError: `verifier-key-malformed`, also for keys of another type than Ed25519.
        """
        try:
            name, key_id, key = vkey.split("+", 2)  # base64 may have plus signs of its own
            typed_key = decode_base64(key)
            decoded = cls(name, bytes.fromhex(key_id), typed_key[1:])
        except ValueError as error:
            raise RefusedError("verifier-key-malformed") from error
        if decoded.encode() != vkey:  # another type, hex in capitals
            raise RefusedError("verifier-key-malformed")
        return decoded

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature over a message.

        Raises:
            IntegrityError: `note-signature-invalid`.
        """
        try:
            _loaded(self.public_key).verify(signature, message)
        except InvalidSignature as error:
            raise IntegrityError("note-signature-invalid", key_name=self.name) from error


@lru_cache(maxsize=64)
def _loaded(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line, of any type: `signature` is what follows the key id and may hold more than a signature."""

    key_name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Write the line, newline included."""
        return f"{_DASH}{self.key_name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart: its text, final newline included, and its signatures in order. Nothing is verified yet."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> str:
        """Write the note: `parse_note` and `encode` undo each other, character for character."""
        return f"{self.text}\n{''.join(signature.line() for signature in self.signatures)}"


def sign_note(text: str, key: VerifierKey, sign: SignFunction) -> str:
    """Sign a text, which ends in a newline, as a note with one signature.

    Raises:
        RefusedError: `note-text-unsignable`, the text does not end in a newline or has a control character.
        IntegrityError: `note-signature-invalid`, `sign` did not give 64 bytes.
    """
    if not text.endswith("\n") or _NOT_IN_NOTE.search(text):
        raise RefusedError("note-text-unsignable")
    signature = sign(text.encode())
    if len(signature) != _SIGNATURE_BYTES:
        raise IntegrityError("note-signature-invalid", key_name=key.name)
    return Note(text, (NoteSignature(key.name, key.key_id, signature),)).encode()


def open_note(note: str | bytes, keys: Sequence[VerifierKey]) -> str:
    """Verify a note and give its text: at least one of `keys` signed it, and no signature of theirs is wrong.

    Signatures of other keys are ignored, as the specification demands.

    Raises:
        IntegrityError: `note-malformed`; `note-unsigned`, no line is of these keys; `note-signature-invalid`.
    """
    parsed = parse_note(note)
    message = parsed.text.encode()
    by_known_key = [
        (key, line.signature)
        for line in parsed.signatures
        for key in keys
        if (key.name, key.key_id) == (line.key_name, line.key_id)
    ]
    if not by_known_key:
        raise IntegrityError("note-unsigned")
    for key, signature in by_known_key:
        key.verify(message, signature)
    return parsed.text


def parse_note(note: str | bytes) -> Note:
    """Take a note apart without verifying anything: what is signed must not be believed yet.

    Raises:
        IntegrityError: `note-malformed`: not UTF-8, a control character, no blank line before the
            signatures, no signature or more than 64, a line that is not a signature line in canonical form.
    """
    try:
        content = note if isinstance(note, str) else note.decode()
        text, separator, lines = content.rpartition("\n\n")
        *signature_lines, rest = lines.split("\n")
        framed = separator and not rest and len(signature_lines) <= MAX_SIGNATURES
        signatures = tuple(_parse_line(line) for line in signature_lines) if framed else ()
    except ValueError as error:
        raise IntegrityError("note-malformed") from error
    if not signatures or _NOT_IN_NOTE.search(content):
        raise IntegrityError("note-malformed")
    return Note(f"{text}\n", signatures)


def _parse_line(line: str) -> NoteSignature:
    dash, name, encoded = line[: len(_DASH)], *line[len(_DASH) :].split(" ")
    data = decode_base64(encoded)
    if dash != _DASH or not is_key_name(name) or len(data) <= _KEY_ID_BYTES:
        raise ValueError("not-a-signature-line")
    return NoteSignature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])
