"""Where the segments of a sealed stream lie: arithmetic on lengths and offsets only, no keys and no bytes."""

from dataclasses import dataclass

from vault.errors import IntegrityError

HEADER_BYTES = 40
TAG_BYTES = 16
MAX_SEGMENTS = 1 << 32


@dataclass(frozen=True, slots=True)
class StreamLayout:
    """The layout of a sealed stream with segments of a given size.

    A sealed stream is a header of 40 bytes and then segments. All of them but the last fill `segment_bytes`, where
    the header counts as part of segment 0. Every segment ends with a tag of 16 bytes. A plaintext that exactly fills
    a segment is followed by no empty segment, so there is one sealed length per plaintext length.

    Example, segments of 1 MiB: plaintext byte 1,048,519 is the last one of segment 0, byte 1,048,520 the first one
    of segment 1, which begins at sealed offset 1,048,576.

    Attributes:
        segment_bytes: size of a full sealed segment, more than 56.

    Source: Tink, Streaming AEAD, AES-GCM-HKDF.
    """

    segment_bytes: int

    @property
    def first_capacity(self) -> int:
        """Plaintext bytes that segment 0 holds at most."""
        return self.segment_bytes - HEADER_BYTES - TAG_BYTES

    def capacity(self, index: int) -> int:
        """Say how many plaintext bytes segment `index` holds at most, and exactly unless it is the last."""
        return self.segment_bytes - TAG_BYTES if index else self.first_capacity

    def plain_offset(self, index: int) -> int:
        """Say at which plaintext position segment `index` begins."""
        return index * (self.segment_bytes - TAG_BYTES) - HEADER_BYTES if index else 0

    def sealed_length(self, plain_length: int) -> int:
        """Say how many bytes a plaintext of `plain_length` bytes takes when sealed, header included."""
        segments = max(1, -(-(plain_length + HEADER_BYTES) // (self.segment_bytes - TAG_BYTES)))
        return plain_length + HEADER_BYTES + TAG_BYTES * segments

    def plain_length(self, sealed_length: int) -> int:
        """Say how many plaintext bytes a sealed stream of `sealed_length` bytes holds.

        Raises:
            IntegrityError: no plaintext gives a sealed stream of this length.
        """
        length = sealed_length - HEADER_BYTES - TAG_BYTES * self._segments(sealed_length)
        # An empty last segment after a full one would be a second sealed form of the same plaintext.
        if length < 0 or self.sealed_length(length) != sealed_length:
            raise IntegrityError("object-length-impossible", sealed_bytes=sealed_length)
        return length

    def segment_count(self, sealed_length: int) -> int:
        """Say how many segments a sealed stream of `sealed_length` bytes has.

        Raises:
            IntegrityError: as `plain_length`, or there are more than 2**32.
        """
        self.plain_length(sealed_length)
        segments = self._segments(sealed_length)
        if segments > MAX_SEGMENTS:
            raise IntegrityError("object-length-impossible", sealed_bytes=sealed_length)
        return segments

    def segment_span(self, index: int, sealed_length: int) -> tuple[int, int]:
        """Say where segment `index` lies in a sealed stream: (offset, length) in bytes, the header left out.

        Args:
            index: zero-based, 0 <= index < segment_count(sealed_length).
            sealed_length: length of the whole sealed stream.
        """
        offset = index * self.segment_bytes if index else HEADER_BYTES
        return offset, min((index + 1) * self.segment_bytes, sealed_length) - offset

    def segments_for_range(self, start: int, count: int) -> range:
        """Give the indexes of the segments that hold the plaintext bytes start <= position < start + count.

        The end of the stream is not known here: the caller cuts the range at the plaintext's length first.
        """
        if count <= 0:
            return range(0)
        capacity = self.segment_bytes - TAG_BYTES
        return range((start + HEADER_BYTES) // capacity, (start + count - 1 + HEADER_BYTES) // capacity + 1)

    def _segments(self, sealed_length: int) -> int:
        return -(-sealed_length // self.segment_bytes)


SEGMENT_BYTES = 1 << 20
LIVE_SEGMENT_BYTES = 1 << 12

OBJECT_LAYOUT = StreamLayout(SEGMENT_BYTES)
"""Objects of every kind but video written live."""

LIVE_LAYOUT = StreamLayout(LIVE_SEGMENT_BYTES)
"""Video written live: a crash loses at most the segment being filled."""
