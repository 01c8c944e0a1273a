r"""Spools: a deposit that a station seals to a bucket's public half while the vault cannot be reached. No files here.

    spool   = "kura-spool/v1\n" ‖ header ‖ "\n" ‖ sealed content
    header  = canonical JSON, at most 16 KiB: the members of `SpoolHeader`, bytes in hex
    request = nonce[12] ‖ AES-256-GCM(data key, the Kura-Deposit object, "kura/spool/v1\nrequest\n" + who)
    content = a stream as of `stream.py` under the data key, bound to "kura/spool/v1\ncontent\n" + who
    who     = contract + "\n" + record id + "\n"

Rules kept here:
- The data key is drawn for this spool and seals these two only: the vault seals the record under another.
- Nobody without the bucket's private half opens it, the station included. `check` commits to the digest, so that the
  station can tell later that the vault's answer is about these bytes.
- A spool arrives from outside: whatever is wrong with it is a refusal, and its length need not be known before its end.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.canonical_json import Json, canonical_json
from vault.errors import IntegrityError, RefusedError
from vault.sealing.envelope import Envelope
from vault.sealing.layout import HEADER_BYTES, MAX_SEGMENTS, OBJECT_LAYOUT, SEGMENT_BYTES
from vault.sealing.stream import NONCE_PREFIX_BYTES, SALT_BYTES, SegmentOpener, SegmentSealer

MEDIA_TYPE = "application/vnd.kura.spooled"
_MAGIC = b"kura-spool/v1\n"
_MAX_HEADER_BYTES = 16 << 10
_NONCE_BYTES, _KEY_BYTES = 12, 32
# Lengths are those of `envelope.py`; a sealed request holds its nonce, its tag and an object at least.
_FORMS: Mapping[str, str] = {
    "id": r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "contract": r"[a-z][a-z0-9_]{0,63}",
    "bucket": r"[0-9a-f]{32}",
    "envelope": r"[0-9a-f]{32}",
    "envelope_sealed": r"[0-9a-f]{160}",
    "data_key": r"[0-9a-f]{80}",
    "request": r"(?:[0-9a-f]{2}){30,}",
    "check_salt": r"[0-9a-f]{64}",
    "check": r"[0-9a-f]{64}",
}

Fill = Callable[[memoryview], int]
"""Fills a buffer with the bytes that come next and says how many: fewer than it holds only at the end."""


@dataclass(frozen=True, slots=True)
class SpoolHeader:
    """What stands before the sealed content; bytes are in hex.

    Raises RefusedError `spool-malformed` where a member has a form that no spool has.
    """

    id: str  # the record's
    contract: str
    bucket: str
    envelope: str  # its id
    envelope_sealed: str  # to the bucket's public half
    data_key: str  # wrapped in the envelope
    request: str  # sealed
    check_salt: str
    check: str  # SHA-256(check_salt ‖ SHA-256 of the bytes)

    def __post_init__(self) -> None:
        """Refuse members that no spool has."""
        for name, form in _FORMS.items():
            value = getattr(self, name)
            if not isinstance(value, str) or re.fullmatch(form, value) is None:
                raise RefusedError("spool-malformed")

    def encode(self) -> bytes:
        """Write all that stands before the sealed content, the first line included."""
        return _MAGIC + canonical_json(asdict(self)) + b"\n"

    @classmethod
    def decode(cls, text: bytes) -> Self:
        """Read what `encode` wrote, in that one form.

        Raises:
            RefusedError: `spool-malformed`.
        """
        try:
            header = cls(**json.loads(text.removeprefix(_MAGIC)))
        except (ValueError, TypeError, RecursionError) as error:
            raise RefusedError("spool-malformed") from error
        if header.encode() != text:
            raise RefusedError("spool-malformed")
        return header

    def require_digest(self, digest: bytes) -> None:
        """Check that a digest is that of the bytes in the spool.

        Raises:
            RefusedError: `spool-content-differs`.
        """
        if not hmac.compare_digest(_check(bytes.fromhex(self.check_salt), digest), self.check):
            raise RefusedError("spool-content-differs", record=self.id)


@dataclass(frozen=True, slots=True)
class SpoolBucket:
    """The bucket a spool is sealed to."""

    contract: str
    id: str
    public_key: bytes  # X25519, 32 bytes


class SpoolWriter:
    """Seals one deposit into one spool, once.

    Attributes:
        header: what `parts` gives first.
    """

    def __init__(self, bucket: SpoolBucket, record_id: str, request: Mapping[str, Json], digest: bytes) -> None:
        """Draw the spool's keys and seal the request.

        Args:
            bucket: of the record's class and day.
            record_id: UUIDv7 in canonical form.
            request: the members of Kura-Deposit.
            digest: SHA-256 of the bytes, which `parts` compares.
        """
        envelope = Envelope(secrets.token_hex(16), bucket.id, os.urandom(_KEY_BYTES))
        salt, nonce, self._data_key = os.urandom(32), os.urandom(_NONCE_BYTES), os.urandom(_KEY_BYTES)
        bound_to = _bound_to("request", bucket.contract, record_id)
        self.header = SpoolHeader(
            id=record_id,
            contract=bucket.contract,
            bucket=bucket.id,
            envelope=envelope.id,
            envelope_sealed=envelope.seal(bucket.public_key).hex(),
            data_key=envelope.wrap(self._data_key).hex(),
            request=(nonce + AESGCM(self._data_key).encrypt(nonce, canonical_json(request), bound_to)).hex(),
            check_salt=salt.hex(),
            check=_check(salt, digest),
        )
        if len(self.header.encode()) > len(_MAGIC) + _MAX_HEADER_BYTES:
            raise RefusedError("spool-malformed")

    def parts(self, fill: Fill) -> Iterator[bytes | memoryview]:
        """Give the spool in order, in parts of at most 1 MiB; a part is valid until the next is asked for.

        Raises:
            RefusedError: `spool-content-differs`, at the end: `fill` gave other bytes than the digest is of.
        """
        bound_to = _bound_to("content", self.header.contract, self.header.id)
        salt, nonce_prefix = os.urandom(SALT_BYTES), os.urandom(NONCE_PREFIX_BYTES)
        sealer = SegmentSealer(self._data_key, bound_to, salt, nonce_prefix, OBJECT_LAYOUT)
        yield self.header.encode()
        yield sealer.header
        sha256, out, index = hashlib.sha256(), memoryview(bytearray(SEGMENT_BYTES)), 0
        part = _read(fill, OBJECT_LAYOUT.capacity(0))
        while True:
            following = _read(fill, OBJECT_LAYOUT.capacity(index + 1)) if part else part
            sha256.update(part)
            yield out[: sealer.seal_into(index, part, last=not following, out=out)]
            if not following:
                break
            part, index = following, index + 1
        self.header.require_digest(sha256.digest())


class SpoolReader:
    """Reads one spool as it arrives: its header at once, its request once opened, then its content in order."""

    def __init__(self, fill: Fill) -> None:
        """Read the header.

        Raises:
            RefusedError: `spool-malformed`.
        """
        begun = _read(fill, len(_MAGIC) + _MAX_HEADER_BYTES)
        head, newline, self._ahead = begun[len(_MAGIC) :].partition(b"\n")
        if not begun.startswith(_MAGIC) or not newline:
            raise RefusedError("spool-malformed")
        self.header = SpoolHeader.decode(_MAGIC + head + newline)
        self._fill = fill
        self._sha256 = hashlib.sha256()
        self._plain = memoryview(b"")

    def open(self, private_key: X25519PrivateKey) -> bytes:
        """Open the spool with its bucket's private half; give the request: a JSON object as Kura-Deposit holds it.

        Raises:
            RefusedError: `spool-altered`.
        """
        header = self.header
        try:
            sealed_key, sealed = bytes.fromhex(header.envelope_sealed), bytes.fromhex(header.request)
            envelope = Envelope.open(header.envelope, header.bucket, sealed_key, private_key)
            data_key = envelope.unwrap(bytes.fromhex(header.data_key))
            bound_to = _bound_to("request", header.contract, header.id)
            request = AESGCM(data_key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound_to)
        except (IntegrityError, InvalidTag, ValueError) as error:
            raise RefusedError("spool-altered", record=header.id) from error
        self._segments = self._opened(data_key)
        return request

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` with plaintext, each byte authenticated; less than its length only at the end. After `open`.

        Raises:
            RefusedError: `spool-altered`: a segment is not what was sealed, or the spool was cut or lengthened.
        """
        done = 0
        while done < len(buffer):
            if not self._plain:
                self._plain = next(self._segments, self._plain)
                if not self._plain:
                    break
            count = min(len(buffer) - done, len(self._plain))
            buffer[done : done + count] = self._plain[:count]
            self._plain, done = self._plain[count:], done + count
        return done

    def finish(self) -> None:
        """Check, after the last byte, that the content is the one the station counted its digest of.

        Raises:
            RefusedError: `spool-content-differs`; `spool-altered`, there was more to read.
        """
        if self._plain or next(self._segments, None) is not None:
            raise RefusedError("spool-altered", record=self.header.id)
        self.header.require_digest(self._sha256.digest())

    def _opened(self, data_key: bytes) -> Iterator[memoryview]:
        bound_to = _bound_to("content", self.header.contract, self.header.id)
        out = memoryview(bytearray(SEGMENT_BYTES))
        try:
            start = self._next(HEADER_BYTES)
            # What more follows than one segment is not known: while any does, the segment is opened as one of many.
            opener = SegmentOpener(data_key, bound_to, start, MAX_SEGMENTS * SEGMENT_BYTES, OBJECT_LAYOUT)
            segment, index = self._next(SEGMENT_BYTES - HEADER_BYTES), 0
            while True:
                following = self._next(SEGMENT_BYTES)
                if not following:
                    length = (HEADER_BYTES if index == 0 else 0) + index * SEGMENT_BYTES + len(segment)
                    opener = SegmentOpener(data_key, bound_to, start, length, OBJECT_LAYOUT)
                plain = out[: opener.open_into(index, segment, out)]
                self._sha256.update(plain)
                if plain:
                    yield plain
                if not following:
                    return
                segment, index = following, index + 1
        except IntegrityError as error:
            raise RefusedError("spool-altered", record=self.header.id) from error

    def _next(self, count: int) -> bytes:
        """Give the next bytes, from what was read with the header first; fewer than `count` only at the end."""
        begun, self._ahead = self._ahead[:count], self._ahead[count:]
        return begun + _read(self._fill, count - len(begun)) if len(begun) < count else begun


def _read(fill: Fill, count: int) -> bytes:
    buffer = bytearray(count)
    return bytes(memoryview(buffer)[: fill(memoryview(buffer))])


def _check(salt: bytes, digest: bytes) -> str:
    return hashlib.sha256(salt + digest).hexdigest()


def _bound_to(part: str, contract: str, record_id: str) -> bytes:
    return f"kura/spool/v1\n{part}\n{contract}\n{record_id}\n".encode()
