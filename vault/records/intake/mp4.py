"""Checks the outermost boxes of MP4 video as it streams by, whole or fragmented. What is in them is not looked at.

Source: ISO/IEC 14496-12, 4.2 (boxes), 4.3 (ftyp), 8.2.1 (moov), 8.8 (movie fragments).
"""

from vault.errors import RefusedError
from vault.records.intake.incremental import EndOfBytesError, Skip, Steps, StreamedCheck, Take

_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 16
_TO_THE_END, _LONG = 0, 1  # sizes that say something else
_MIN_FTYP_BYTES = _HEADER_BYTES + 8  # major brand and version
_MAX_BOXES = 200_000  # a day of fragments of a second; a file of empty boxes must not keep a thread busy


def mp4_check() -> StreamedCheck:
    """Give a check of one MP4 document.

    It refuses with `mp4-malformed` (fact `reason`), `mp4-truncated` (it ends inside a box, or after a fragment's
    header) or `mp4-unfinished` (no moov: the recorder never closed it).
    """
    return StreamedCheck(_Mp4().steps())


class _Mp4:
    """One MP4 document: the boxes seen so far."""

    def __init__(self) -> None:
        self._boxes = 0
        self._movies = 0  # moov boxes
        self._has_media = False
        self._open_fragment = False  # a moof came, its mdat not yet

    def steps(self) -> Steps:
        """Read the document box by box."""
        while self._boxes < _MAX_BOXES:
            try:
                header = yield Take(_HEADER_BYTES)
            except EndOfBytesError as end:
                if end.received:
                    raise RefusedError("mp4-truncated") from end
                break
            try:
                yield from self._box(header)
            except EndOfBytesError as end:
                raise RefusedError("mp4-truncated") from end
            self._boxes += 1
        else:
            raise _malformed("boxes")
        self._end()

    def _box(self, header: bytes) -> Steps:
        size, name, header_bytes = int.from_bytes(header[:4], "big"), header[4:], _HEADER_BYTES
        self._note(name)
        if size == _LONG:
            size, header_bytes = int.from_bytes((yield Take(8)), "big"), _LONG_HEADER_BYTES
        elif size == _TO_THE_END:
            yield from self._last_box(name)
            return
        if size < (_MIN_FTYP_BYTES if name == b"ftyp" else header_bytes):
            raise _malformed("box-size")
        yield Skip(size - header_bytes)

    def _last_box(self, name: bytes) -> Steps:
        if name == b"ftyp":
            raise _malformed("box-size")
        try:
            yield Skip(None)
        except EndOfBytesError:
            return

    def _note(self, name: bytes) -> None:
        """Keep what the box `name` says about the document."""
        if not all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in name):  # noqa: PLR2004  # printable, or ©
            raise _malformed("box-name")
        if (name == b"ftyp") != (self._boxes == 0):
            raise _malformed("ftyp")
        if name == b"moov":
            self._movies += 1
        elif name == b"moof":
            self._open_fragment = True
        elif name == b"mdat":
            self._has_media, self._open_fragment = True, False

    def _end(self) -> None:
        if self._boxes == 0:
            raise _malformed("ftyp")
        if self._movies == 0:
            raise RefusedError("mp4-unfinished")
        if self._open_fragment:
            raise RefusedError("mp4-truncated")
        if self._movies > 1 or not self._has_media:
            raise _malformed("no-mdat" if not self._has_media else "moov")


def _malformed(reason: str) -> RefusedError:
    return RefusedError("mp4-malformed", reason=reason)
