"""Checks the headers of WAV sound as it streams by: RIFF and RF64, PCM only. The samples themselves are not looked at.

Sources: Multimedia Programming Interface 1.0 (RIFF, WAVE); Microsoft, WAVEFORMATEXTENSIBLE; EBU Tech 3306 (RF64).
"""

import struct
from collections.abc import Generator

from vault.errors import RefusedError
from vault.records.intake.incremental import EndOfBytesError, Skip, StreamedCheck, Take

_UNKNOWN = 0xFFFFFFFF  # what a streaming writer leaves until it knows the length; in RF64: see ds64
_PCM, _EXTENSIBLE = 0x0001, 0xFFFE
_PCM_SUBFORMAT = bytes.fromhex("0100000000001000800000aa00389b71")
_FMT_BYTES, _EXTENSIBLE_FMT_BYTES, _MAX_FMT_BYTES = 16, 40, 128
_DS64_BYTES = 28
_MAX_CHANNELS = 8
_MIN_RATE, _MAX_RATE = 4_000, 192_000  # samples a second
_SAMPLE_BITS = (8, 16, 24, 32)
_MAX_CHUNKS = 10_000  # a file of empty chunks must not keep a thread busy

_Steps = Generator[Take | Skip, bytes, None]


def wav_check() -> StreamedCheck:
    """Give a check of one WAV document.

    It refuses with `wav-malformed` (fact `reason`), `wav-unfinished` (sizes never filled in) or `wav-empty`.
    """
    return StreamedCheck(_Wav().steps())


class _Wav:
    """One WAV document: what its chunks said so far."""

    def __init__(self) -> None:
        self._length = 0  # of the whole document, as its header says
        self._offset = 12  # where the next chunk begins
        self._long_data_bytes: int | None = None  # from ds64
        self._block_align = 0  # bytes of one sample of all channels; 0 until fmt came
        self._has_data = False

    def steps(self) -> _Steps:
        """Read the document chunk by chunk."""
        try:
            yield from self._riff_header()
            for _ in range(_MAX_CHUNKS):
                if self._length - self._offset <= 1:  # one byte may be left: padding counted by some writers
                    break
                yield from self._chunk()
            else:
                raise _malformed("chunks")
        except EndOfBytesError as end:
            raise _malformed("truncated") from end
        yield from self._end()

    def _riff_header(self) -> _Steps:
        header = yield Take(12)
        riff, size, wave = struct.unpack("<4sI4s", header)
        if riff not in (b"RIFF", b"RF64") or wave != b"WAVE":
            raise _malformed("riff")
        if riff == b"RF64":
            size = yield from self._ds64(size)
        elif size in (0, _UNKNOWN):
            raise RefusedError("wav-unfinished")
        self._length = 8 + size

    def _ds64(self, size: int) -> Generator[Take | Skip, bytes, int]:
        """Read the chunk with the sizes that 32 bits cannot hold and give that of the whole."""
        header = yield Take(8)
        name, length = struct.unpack("<4sI", header)
        if name != b"ds64" or length < _DS64_BYTES or size != _UNKNOWN:
            raise _malformed("ds64")
        body = yield Take(_DS64_BYTES)
        riff_bytes, data_bytes = struct.unpack_from("<QQ", body)
        if riff_bytes == 0:
            raise RefusedError("wav-unfinished")
        padded = length + length % 2
        yield Skip(padded - _DS64_BYTES)
        self._offset += 8 + padded
        self._long_data_bytes = data_bytes
        return int(riff_bytes)

    def _chunk(self) -> _Steps:
        header = yield Take(8)
        name, size = struct.unpack("<4sI", header)
        if name == b"data":
            size = self._data_size(size)
        end = self._offset + 8 + size
        if end > self._length:
            raise _malformed("chunk-size")
        if name == b"fmt ":
            yield from self._fmt(size)
        else:
            yield Skip(size)
        # A chunk of odd length is padded, but many writers leave the padding out at the end of the document.
        padding = size % 2 if end < self._length else 0
        yield Skip(padding)
        self._offset = end + padding

    def _data_size(self, size: int) -> int:
        """Check where the data chunk stands and give its length in bytes."""
        if self._has_data or not self._block_align:
            raise _malformed("chunk-order")
        self._has_data = True
        if size == _UNKNOWN:
            if self._long_data_bytes is None:
                raise RefusedError("wav-unfinished")
            size = self._long_data_bytes
        if size == 0:
            # A writer that never went back to fill in the sizes left a 0 here and the sound behind it.
            raise RefusedError("wav-unfinished" if self._length > self._offset + 8 else "wav-empty")
        if size % self._block_align:
            raise _malformed("data-size")
        return size

    def _fmt(self, size: int) -> _Steps:
        if self._block_align or not _FMT_BYTES <= size <= _MAX_FMT_BYTES:
            raise _malformed("fmt")
        body = yield Take(size)
        form, channels, rate, _, block_align, bits = struct.unpack_from("<HHIIHH", body)
        if form == _EXTENSIBLE and (size < _EXTENSIBLE_FMT_BYTES or body[24:40] != _PCM_SUBFORMAT):
            raise _malformed("not-pcm")
        if form not in (_PCM, _EXTENSIBLE):
            raise _malformed("not-pcm")
        if not 1 <= channels <= _MAX_CHANNELS or not _MIN_RATE <= rate <= _MAX_RATE or bits not in _SAMPLE_BITS:
            raise _malformed("fmt")
        if block_align != channels * bits // 8:
            raise _malformed("block-align")
        self._block_align = block_align

    def _end(self) -> _Steps:
        """Take the document's end, with at most the byte of padding that the header's length may count or not."""
        if not self._has_data:
            raise _malformed("no-data")
        try:
            yield Take(1)
            yield Take(1)
        except EndOfBytesError:
            return
        raise _malformed("riff-size")


def _malformed(reason: str) -> RefusedError:
    return RefusedError("wav-malformed", reason=reason)
