"""Chooses the content check of a media type; the checks themselves stand beside this file."""

from vault.records.intake.content_check import ContentCheck
from vault.records.intake.mp4 import mp4_check
from vault.records.intake.pdf_batch import PdfBatch
from vault.records.intake.wav import wav_check

__all__ = ["ContentCheck", "check_for"]


def check_for(media_type: str, pdfs: PdfBatch, content_bytes: int | None = None) -> ContentCheck:
    """Give a fresh check for one document.

    Args:
        media_type: as `detect_media_type` gives it; a type without a check of its own is taken as it is.
        pdfs: where PDFs are put together, to be opened.
        content_bytes: length of the document where the depositor announced it; lets a large PDF reserve no more
            memory than it needs.
    """
    match media_type:
        case "application/pdf":
            return pdfs.check(content_bytes)
        case "audio/wav":
            return wav_check()
        case "video/mp4":
            return mp4_check()
        case _:
            return _Unchecked()


class _Unchecked(ContentCheck):
    """For documents of which nothing is known but their bytes."""

    def update(self, chunk: memoryview | bytes) -> None:
        """Pass over the bytes."""

    def begin(self) -> None:
        """Do nothing."""

    def finish(self) -> None:
        """Refuse nothing."""

    def abort(self) -> None:
        """Hold nothing."""
