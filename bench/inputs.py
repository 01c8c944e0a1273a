"""The inputs of the measurements: seeded, incompressible, valid documents; the same bytes every time.

Nothing of a vault is here. Sizes and numbers follow a day of scanning and of video: PDFs of 60 to 400 KiB, segments
of 12 MiB.
"""

import io
import os
import random
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PDF_BYTES = (60 << 10, 400 << 10)
SEGMENT_BYTES = 12 << 20
_SEED = 20240801
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Inputs:
    """A folder of input files, in the page cache."""

    folder: Path
    paths: tuple[Path, ...]
    content_bytes: int


def pdf(image: bytes) -> bytes:
    """Give a PDF of one page that shows one image, whose compressed bytes these are said to be."""
    drawing = b"595 0 0 842 0 0 cm /Scan Do"
    shown = b"/MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /XObject << /Scan 5 0 R >> >>"
    picture = b"/Type /XObject /Subtype /Image /Width 2480 /Height 3508 /ColorSpace /DeviceGray /BitsPerComponent 8"
    picture += b" /Filter /DCTDecode"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R %b >>" % shown,
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(drawing), drawing),
        b"<< %b /Length %d >>\nstream\n%b\nendstream" % (picture, len(image), image),
    ]
    document = bytearray(b"%PDF-1.7\n")
    table = bytearray(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for number, body in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(document)
        document += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(document))
    return bytes(document + table + end)


def mp4_head(media_bytes: int) -> bytes:
    """Give what stands before `media_bytes` of media in an MP4 file: ftyp, moov and the header of mdat."""
    boxes = _box(b"ftyp", b"isom" + bytes(4) + b"isom") + _box(b"moov", _box(b"mvhd", bytes(100)))
    size = 8 + media_bytes
    if size < 1 << 32:
        return boxes + size.to_bytes(4, "big") + b"mdat"
    return boxes + (1).to_bytes(4, "big") + b"mdat" + (size + 8).to_bytes(8, "big")


def mp4(content_bytes: int, media: random.Random) -> bytes:
    """Give a valid MP4 file of exactly `content_bytes` bytes."""
    media_bytes = content_bytes - len(mp4_head(0))
    return mp4_head(media_bytes) + media.randbytes(media_bytes)


def wav(samples: int) -> bytes:
    """Make a recording of that many samples of random sound: 16 bits, 8,000 a second."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(os.urandom(2 * samples))
    return file.getvalue()


def make_pdfs(folder: Path, count: int) -> Inputs:
    """Make `count` PDFs of 60 to 400 KiB, or take the ones that a run before this one made."""
    seeded = random.Random(_SEED)
    return _make(folder, count, ".pdf", lambda: pdf(seeded.randbytes(seeded.randrange(*PDF_BYTES))))


def make_segments(folder: Path, count: int, content_bytes: int = SEGMENT_BYTES) -> Inputs:
    """Make `count` video segments, or take the ones that a run before this one made."""
    seeded = random.Random(_SEED + 1)
    return _make(folder, count, ".mp4", lambda: mp4(content_bytes, seeded))


def _make(folder: Path, count: int, suffix: str, document: Callable[[], bytes]) -> Inputs:
    if not folder.is_dir():
        unfinished = folder.with_name(folder.name + ".part")
        unfinished.mkdir(parents=True)
        for number in range(count):
            (unfinished / f"{number:05d}{suffix}").write_bytes(document())
        unfinished.rename(folder)
        os.sync()
    return _cached(folder)


def _cached(folder: Path) -> Inputs:
    """Read every file once, so that no measured program waits for the disk that another one has filled."""
    paths = tuple(sorted(folder.iterdir()))
    total = 0
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while part := file.read(_READ_BYTES):
                total += len(part)
    return Inputs(folder, paths, total)


def _box(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content
