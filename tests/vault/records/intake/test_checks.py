import pytest

from vault.errors import RefusedError, sentences
from vault.records.intake.checks import check_for
from vault.records.intake.pdf_pool import PdfPool


@pytest.mark.parametrize(
    ("media_type", "code"),
    [("application/pdf", "pdf-malformed"), ("audio/wav", "wav-malformed"), ("video/mp4", "mp4-truncated")],
)
def test_each_media_type_has_its_check(pool: PdfPool, media_type: str, code: str) -> None:
    check = check_for(media_type, pool.batch())
    check.update(b"nothing")
    with pytest.raises(RefusedError) as refused:
        check.finish()
    assert refused.value.code == code
    check.abort()


@pytest.mark.parametrize("media_type", ["image/png", "text/csv", "application/octet-stream", "model/unknown"])
def test_other_media_types_are_taken_as_they_are(pool: PdfPool, media_type: str) -> None:
    check = check_for(media_type, pool.batch())
    check.update(b"anything")
    check.begin()
    check.finish()
    check.abort()


def test_every_refusal_has_its_sentences() -> None:
    codes = [code for code in sentences() if code.startswith(("pdf-", "wav-", "mp4-"))]
    assert len(codes) == 13
    for code in codes:
        for language in ("en", "ja"):
            assert sentences()[code][language]
