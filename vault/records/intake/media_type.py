"""Tells the media type of a deposit from its first bytes, never from its name; whether the rest holds is not said here.

Sources: ISO 32000-2, 7.5.2 (PDF); Multimedia Programming Interface 1.0 and EBU Tech 3306 (WAV, RF64); ISO/IEC 14496-12,
4.3 (MP4); RFC 2083, 3.1 (PNG); ISO/IEC 10918-1, annex B (JPEG); TIFF 6.0, section 2.
"""

import codecs
import re

HEAD_BYTES = 4096  # more is not looked at

OCTET_STREAM = "application/octet-stream"

_SIGNATURES = {
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
    b"II+\x00": "image/tiff",  # BigTIFF
    b"MM\x00+": "image/tiff",
}
# Files built of the same boxes as MP4 that are pictures, sound or QuickTime.
_OTHER_BRANDS = frozenset({b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis", b"M4A ", b"M4B ", b"qt  "})
_UTF8_MARK = b"\xef\xbb\xbf"
_NOT_IN_TEXT = frozenset(range(32)) - frozenset(b"\t\n\r\f") | {0x7F}
_NOT_IN_WORDS = re.compile("[\x80-\x9f\uf8f0-\uf8f3]")  # what cp932 makes of bytes that Shift_JIS does not know
_ENCODINGS = ("utf-8", "cp932")  # cp932 is Shift_JIS as Japanese offices write it


def detect_media_type(head: bytes) -> str:
    """Give the media type that the first bytes show.

    Args:
        head: the document's first bytes: at least 16, or the whole of a shorter document; 4096 are enough.

    Returns:
        The type of a known signature; for text (UTF-8 or Shift_JIS, without control characters) application/json,
        text/csv or text/plain, as good as a glance can tell; else application/octet-stream.
    """
    for signature, media_type in _SIGNATURES.items():
        if head.startswith(signature):
            return media_type
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[4:8] == b"ftyp" and head[8:12] not in _OTHER_BRANDS:
        return "video/mp4"
    return _text_type(head[:HEAD_BYTES].removeprefix(_UTF8_MARK))


def _text_type(head: bytes) -> str:
    start = head.lstrip()[:1]
    if not start or not _NOT_IN_TEXT.isdisjoint(head) or not any(_is_text(head, name) for name in _ENCODINGS):
        return OCTET_STREAM
    if start in (b"{", b"["):
        return "application/json"
    return "text/csv" if b"," in head.splitlines()[0] else "text/plain"


def _is_text(head: bytes, encoding: str) -> bool:
    """Say whether `head` is text; its last character may be cut."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head, final=False)
    except UnicodeDecodeError:
        return False
    return _NOT_IN_WORDS.search(text) is None
