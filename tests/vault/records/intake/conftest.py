"""Sample PDFs: made by pikepdf where they are healthy, put together by hand where they are not."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache

import pikepdf
import pytest

from vault.records.intake.pdf_pool import PdfPool

IMAGE_BYTES = 230 * 1024


@pytest.fixture
def pool() -> Iterator[PdfPool]:
    pool = PdfPool(timeout_s=30)
    yield pool
    pool.close()


@cache
def _scan(image_bytes: int) -> bytes:
    pdf = pikepdf.new()
    image = pdf.make_stream(
        bytes(range(256)) * (image_bytes // 256),
        Type=pikepdf.Name.XObject,
        Subtype=pikepdf.Name.Image,
        Width=256,
        Height=image_bytes // 256,
        ColorSpace=pikepdf.Name.DeviceGray,
        BitsPerComponent=8,
    )
    page = pdf.add_blank_page()
    page.obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(Scan=image))
    page.obj.Contents = pdf.make_stream(b"q 612 0 0 792 0 0 cm /Scan Do Q")
    out = io.BytesIO()
    pdf.save(out, compress_streams=False)
    return out.getvalue()


@pytest.fixture
def scan() -> bytes:
    """One page with an image of 230 KiB."""
    return _scan(IMAGE_BYTES)


@pytest.fixture
def scan_of() -> Callable[[int], bytes]:
    """One page with an image of about so many bytes."""
    return _scan


@pytest.fixture
def pdf_of() -> Callable[..., bytes]:
    """Puts a PDF together from the bodies of its objects; object 1 is the catalog."""
    return _pdf_of


def _pdf_of(*bodies: bytes, trailer: bytes = b"") -> bytes:
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(out)
    out += b"xref\n0 %d\n" % (len(bodies) + 1) + table
    out += b"trailer\n<</Size %d/Root 1 0 R%s>>\n" % (len(bodies) + 1, trailer)
    return bytes(out) + b"startxref\n%d\n%%%%EOF\n" % start


@pytest.fixture
def small_pdf() -> bytes:
    """A page in a few hundred bytes."""
    return _pdf_of(CATALOG, PAGES, PAGE, CONTENTS)


CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<<>>/Contents 4 0 R>>"
CONTENTS = b"<</Length 3>>\nstream\nq Q\nendstream"


@pytest.fixture
def deflate_bomb() -> bytes:
    """A PDF of about 2 MiB whose page tree lies in an object stream of 2 GiB."""
    packed = zlib.compressobj(9)
    bomb = packed.compress(b"2 0 " + PAGES + b" " * (1 << 20)) + packed.flush(zlib.Z_FULL_FLUSH)
    blanks = zlib.compressobj(9, wbits=-15)
    mebibyte = blanks.compress(b" " * (1 << 20)) + blanks.flush(zlib.Z_FULL_FLUSH)
    bomb += mebibyte * 2048
    bodies = {
        1: CATALOG,
        3: PAGE,
        4: CONTENTS,
        5: b"<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/Length %d>>\nstream\n" % len(bomb) + bomb + b"\nendstream",
    }
    out, entries = bytearray(b"%PDF-1.7\n"), {0: (0, 0, 65535), 2: (2, 5, 0)}
    for number, body in bodies.items():
        entries[number] = (1, len(out), 0)
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    entries[6] = (1, len(out), 0)
    table = b"".join(struct.pack(">BIH", *entries[number]) for number in range(7))
    start = len(out)
    out += b"6 0 obj\n<</Type/XRef/W[1 4 2]/Size 7/Root 1 0 R/Length %d>>\nstream\n" % len(table) + table
    return bytes(out) + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % start
