import io
import os
from collections.abc import Callable

import pikepdf
import pytest

from vault.errors import RefusedError
from vault.records.intake.pdf_protocol import REFUSALS
from vault.records.intake.pdf_structure import check_structure

PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<<>>/Contents 4 0 R%s>>"
CONTENTS = b"<</Length 3>>\nstream\nq Q\nendstream"
SCRIPT = b"<</S/JavaScript/JS(app.alert\\(1\\))>>"
PdfOf = Callable[..., bytes]


def verdict(document: bytes) -> str:
    try:
        check_structure(io.BytesIO(document), mapped=False)
    except RefusedError as refused:
        refusal = refused
    else:
        return "ok"
    assert refusal.code.encode() in REFUSALS
    assert refusal.facts == {}
    return refusal.code


def with_parts(pdf_of: PdfOf, catalog: bytes = b"", page: bytes = b"", *more: bytes) -> bytes:
    return pdf_of(b"<</Type/Catalog/Pages 2 0 R%s>>" % catalog, PAGES, PAGE % page, CONTENTS, *more)


PASSIVE = {
    "nothing more": (b"", b""),
    "opens at a page": (b"/OpenAction[3 0 R/Fit]", b""),
    "opens at a page by an action": (b"/OpenAction<</S/GoTo/D[3 0 R/Fit]>>", b""),
    "links": (b"", b"/Annots[<</Subtype/Link/A<</S/URI/URI(about:blank)>>>>]"),
    "plain form": (b"/AcroForm<</Fields[<</T(a)/FT/Tx/Kids[<</Subtype/Widget>>]>>]>>", b""),
    "bookmarks": (b"/Outlines<</First<</Title(a)/A<</S/GoTo/D[3 0 R/Fit]>>>>>>", b""),
    "empty name trees": (b"/Names<</EmbeddedFiles<</Names[]>>/JavaScript<</Kids[]>>>>", b""),
    "associated file elsewhere": (b"/AF[<</F(a.xml)>>]", b""),
}
ACTIVE = {
    "script on opening": (b"/OpenAction" + SCRIPT, b""),
    "program on opening": (b"/OpenAction<</S/Launch/F(a.exe)>>", b""),
    "script after a harmless action": (b"/OpenAction<</S/GoTo/D[3 0 R/Fit]/Next[%s]>>" % SCRIPT, b""),
    "script on closing": (b"/AA<</WC%s>>" % SCRIPT, b""),
    "named script": (b"/Names<</JavaScript<</Names[(a)%s]>>>>" % SCRIPT, b""),
    "embedded file": (b"/Names<</EmbeddedFiles<</Names[(a)<</F(a)>>]>>>>", b""),
    "embedded files further down": (b"/Names<</EmbeddedFiles<</Kids[<</Names[(a)<</F(a)>>]>>]>>>>", b""),
    "associated file inside": (b"/AF[<</F(a)/EF<</F 4 0 R>>>>]", b""),
    "XFA form": (b"/AcroForm<</Fields[]/XFA 4 0 R>>", b""),
    "script of a field": (b"/AcroForm<</Fields[<</T(a)/Kids[<</AA<</K%s>>>>]>>]>>" % SCRIPT, b""),
    "script of a bookmark": (b"/Outlines<</First<</Title(a)/Next<</Title(b)/A%s>>>>>>" % SCRIPT, b""),
    "script of a page": (b"", b"/AA<</O%s>>" % SCRIPT),
    "script of a link": (b"", b"/Annots[<</Subtype/Link/A%s>>]" % SCRIPT),
    "form sent away": (b"", b"/Annots[<</Subtype/Widget/A<</S/SubmitForm/F(a)>>>>]"),
    "attached file": (b"", b"/Annots[<</Subtype/FileAttachment/FS<</F(a)>>>>]"),
    "player": (b"", b"/Annots[<</Subtype/RichMedia>>]"),
}


@pytest.mark.parametrize(("catalog", "page"), PASSIVE.values(), ids=PASSIVE)
def test_a_pdf_that_only_shows_pages_is_taken(pdf_of: PdfOf, catalog: bytes, page: bytes) -> None:
    assert verdict(with_parts(pdf_of, catalog, page)) == "ok"


@pytest.mark.parametrize(("catalog", "page"), ACTIVE.values(), ids=ACTIVE)
def test_active_content_is_refused(pdf_of: PdfOf, catalog: bytes, page: bytes) -> None:
    assert verdict(with_parts(pdf_of, catalog, page)) == "pdf-active-content"


def test_actions_and_bookmarks_in_a_circle_end(pdf_of: PdfOf) -> None:
    circles = b"<</S/GoTo/D[3 0 R/Fit]/Next 5 0 R>>", b"<</Title(a)/Next 6 0 R>>"
    assert verdict(with_parts(pdf_of, b"/OpenAction 5 0 R/Outlines<</First 6 0 R>>", b"", *circles)) == "ok"


@pytest.mark.parametrize("level", [{"R": 6}, {"R": 4}, {"R": 3, "aes": False}, {"R": 2, "aes": False}])
@pytest.mark.parametrize("password", ["", "opensesame"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # of old ciphers
def test_an_encrypted_pdf_is_refused_even_where_it_opens(scan: bytes, level: dict[str, int], password: str) -> None:
    out = io.BytesIO()
    aes = level.get("aes", level["R"] >= 4)
    encryption = pikepdf.Encryption(owner="owner", user=password, R=level["R"], aes=bool(aes), metadata=bool(aes))  # type: ignore[arg-type]  # R is one of its literals
    with pikepdf.open(io.BytesIO(scan)) as pdf:
        pdf.save(out, encryption=encryption)
    assert verdict(out.getvalue()) == "pdf-encrypted"


def test_a_pdf_without_pages_is_refused(pdf_of: PdfOf) -> None:
    assert verdict(pdf_of(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>")) == "pdf-no-pages"


MALFORMED = {
    "no page tree": (b"<</Type/Catalog>>",),
    "catalog is no dictionary": (b"[1 2 3]",),
    "page tree leads to itself": (b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R]/Count 1>>"),
    "page is a number": (b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", b"7"),
    "one page of two is a number": (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 5 0 R]/Count 2>>",
        PAGE % b"",
        CONTENTS,
        b"7",
    ),
    "contents are no stream": (b"<</Type/Catalog/Pages 2 0 R>>", PAGES, PAGE % b"", b"<</Length 3>>"),
    "image is no stream": (
        b"<</Type/Catalog/Pages 2 0 R>>",
        PAGES,
        (PAGE % b"").replace(b"<<>>", b"<</XObject<</Scan 5 0 R>>>>"),
        CONTENTS,
        b"(image)",
    ),
}


@pytest.mark.parametrize("bodies", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_pdf_is_refused(pdf_of: PdfOf, bodies: tuple[bytes, ...]) -> None:
    assert verdict(pdf_of(*bodies)) == "pdf-malformed"


def test_wrong_places_in_the_table_of_objects_are_not_repaired(small_pdf: bytes) -> None:
    for place in (line[:10] for line in small_pdf.split(b"\n") if line.endswith(b" 00000 n ")):
        wrong = b"%010d" % (int(place) + 3)
        assert verdict(small_pdf.replace(place, wrong)) == "pdf-malformed"


@pytest.mark.parametrize("length", [0, 1, 9])
def test_a_stream_that_ends_elsewhere_is_not_repaired(small_pdf: bytes, length: int) -> None:
    assert verdict(small_pdf.replace(b"/Length 3", b"/Length %d" % length)) == "pdf-malformed"


CARELESS = {
    "wrong count": (b"/Count 1", b"/Count 5"),
    "page without resources": (b"/Resources<<>>", b"              "),
    "page without its kind": (b"/Type/Page/Parent", b"          /Parent"),
    "wrong size of the table": (b"/Size 5", b"/Size 9"),
}


@pytest.mark.parametrize(("healthy", "careless"), CARELESS.values(), ids=CARELESS)
def test_what_every_reader_puts_up_with_is_taken(small_pdf: bytes, healthy: bytes, careless: bytes) -> None:
    assert healthy in small_pdf
    assert verdict(small_pdf.replace(healthy, careless)) == "ok"


def test_a_pdf_cut_anywhere_is_refused(small_pdf: bytes) -> None:
    end = small_pdf.rindex(b"%%EOF")
    digits = len(b"123\n")  # readers that find startxref do not need the last line
    for length in range(end - digits):
        assert verdict(small_pdf[:length]) == "pdf-malformed"


def test_a_pdf_with_bytes_missing_in_an_image_is_refused(scan: bytes) -> None:
    assert verdict(scan[:1000] + scan[1001:]) == "pdf-malformed"


def test_a_healthy_scan_is_taken_in_either_way_of_reading(scan: bytes) -> None:
    assert verdict(scan) == "ok"
    with os.fdopen(os.memfd_create("scan"), "r+b", buffering=0) as document:
        document.write(scan)
        document.seek(0)
        check_structure(document, mapped=True)
