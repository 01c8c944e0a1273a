"""Sealing and opening of streams, segment by segment, in Tink's format AES256_GCM_HKDF; no input or output here.

    sealed     = header || segment 0 || segment 1 || …
    header     = 0x28 (its own length) || salt[32] || nonce prefix[7]
    key        = HKDF-SHA256(data key, salt, info = associated data)[32]
    nonce i    = nonce prefix || uint32 big endian of i || 0x01 if the segment is the last, else 0x00
    segment i  = AES-256-GCM(key, nonce i, plaintext i, no associated data), tag at the end

Rules kept here:
- One key is derived per stream, so the same salt must never be used twice under one data key: draw it at random.
- A segment is sealed once. Sealing another plaintext as the same segment of the same stream would give both away.
- The whole sealed length decides which segment is the last. A stream that was cut, lengthened, or joined from others
  does not open, not even where other implementations are content (tink-py takes bytes after a full last segment).

    sealer = SegmentSealer(key, associated_data, salt, nonce_prefix, OBJECT_LAYOUT)
    out = memoryview(bytearray(OBJECT_LAYOUT.segment_bytes))
    written = sealer.seal_into(0, plaintext, last=True, out=out)
    sealed = sealer.header + out[:written]

Source: Tink, Streaming AEAD, AES-GCM-HKDF; key template AES256_GCM_HKDF_1MB (and 4KB), output prefix RAW.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.utils import Buffer

from vault.errors import IntegrityError
from vault.sealing.layout import HEADER_BYTES, MAX_SEGMENTS, TAG_BYTES, StreamLayout

KEY_BYTES = 32
SALT_BYTES = 32
NONCE_PREFIX_BYTES = 7


class SegmentSealer:
    """Seals the segments of one stream.

    It keeps no place in the stream: segments may be sealed in any order and from several threads at once.

    Attributes:
        header: the 40 bytes that stand before segment 0.
    """

    def __init__(
        self, key: Buffer, associated_data: bytes, salt: bytes, nonce_prefix: bytes, layout: StreamLayout
    ) -> None:
        """Derive the stream's key.

        Args:
            key: data key, 32 bytes.
            associated_data: what the stream is bound to; its opener must give the same.
            salt: 32 random bytes, fresh for each stream.
            nonce_prefix: 7 random bytes.
            layout: size of the segments.
        """
        _require(len(salt) == SALT_BYTES and len(nonce_prefix) == NONCE_PREFIX_BYTES, "salt 32, nonce prefix 7 bytes")
        self.header = bytes([HEADER_BYTES]) + salt + nonce_prefix
        self._cipher = _stream_cipher(key, associated_data, salt)
        self._nonce_prefix = nonce_prefix
        self._layout = layout

    def seal_into(self, index: int, plaintext: Buffer, *, last: bool, out: memoryview) -> int:
        """Seal segment `index` into the beginning of `out` and say how many bytes were written.

        Args:
            index: zero-based, below 2**32.
            plaintext: exactly `layout.capacity(index)` bytes; the last segment may hold fewer, but none only where
                it is the only one.
            last: whether the stream ends with this segment.
            out: at least len(plaintext) + 16 writable bytes, not overlapping the plaintext.

        Raises:
            ValueError: the plaintext does not fit the segment; a defect of the caller.
        """
        size, capacity = len(plaintext), self._layout.capacity(index)
        fits = size == capacity or (last and size < capacity and (size > 0 or index == 0))
        _require(fits and 0 <= index < MAX_SEGMENTS, "plaintext does not fit the segment")
        return self._cipher.encrypt_into(
            _nonce(self._nonce_prefix, index, last=last), plaintext, None, out[: size + TAG_BYTES]
        )


class SegmentOpener:
    """Opens the segments of one sealed stream.

    It keeps no place in the stream: segments may be opened in any order and from several threads at once.

    Attributes:
        segment_count: number of segments of the stream, at least 1.
        plain_length: length of the plaintext in bytes. Proven only once the last segment has been opened.
    """

    def __init__(
        self, key: Buffer, associated_data: bytes, header: bytes, sealed_length: int, layout: StreamLayout
    ) -> None:
        """Derive the stream's key.

        Args:
            key: data key, 32 bytes.
            associated_data: what the stream was bound to.
            header: the first 40 bytes of the sealed stream.
            sealed_length: length of the whole sealed stream, header included. A wrong one never gives wrong
                plaintext: the last segment does not open.
            layout: size of the segments.

        Raises:
            IntegrityError: the header or the length belongs to no sealed stream.
        """
        self.plain_length = layout.plain_length(sealed_length)
        self.segment_count = layout.segment_count(sealed_length)
        if len(header) != HEADER_BYTES or header[0] != HEADER_BYTES:
            raise IntegrityError("object-altered", segment=0)
        self._cipher = _stream_cipher(key, associated_data, header[1 : 1 + SALT_BYTES])
        self._nonce_prefix = header[1 + SALT_BYTES :]
        self._sealed_length = sealed_length
        self._layout = layout

    def open_into(self, index: int, sealed: Buffer, out: memoryview) -> int:
        """Open segment `index` into the beginning of `out` and say how many plaintext bytes were written.

        Args:
            index: zero-based, below `segment_count`.
            sealed: the segment's bytes, as `layout.segment_span` says where they lie.
            out: at least len(sealed) - 16 writable bytes, not overlapping `sealed`.

        Raises:
            IntegrityError: the segment is not what was sealed, or not under this key and associated data; `out`
                then holds zeros.
        """
        size = self._checked_size(index, sealed)
        target = out[:size]
        try:
            return self._cipher.decrypt_into(self._nonce(index), sealed, None, target)
        except InvalidTag as error:
            # The cipher writes before it knows whether the tag holds: nobody shall use what it wrote.
            target[:] = bytes(size)
            raise IntegrityError("object-altered", segment=index) from error

    def _checked_size(self, index: int, sealed: Buffer) -> int:
        _require(0 <= index < self.segment_count, "no such segment")
        _, length = self._layout.segment_span(index, self._sealed_length)
        if len(sealed) != length:
            raise IntegrityError("object-altered", segment=index)
        return length - TAG_BYTES

    def _nonce(self, index: int) -> bytes:
        return _nonce(self._nonce_prefix, index, last=index == self.segment_count - 1)


def _stream_cipher(key: Buffer, associated_data: bytes, salt: bytes) -> AESGCM:
    _require(len(key) == KEY_BYTES, "data key 32 bytes")
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, associated_data).derive(key))


def _nonce(prefix: bytes, index: int, *, last: bool) -> bytes:
    return prefix + index.to_bytes(4, "big") + bytes([last])


def _require(condition: bool, rule: str) -> None:  # noqa: FBT001  # a private guard, read as its call
    """Stop a defect of the caller before it becomes a stream that nobody can open."""
    if not condition:
        raise ValueError(rule)
