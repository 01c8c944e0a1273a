import pytest

from vault.records.intake.media_type import detect_media_type


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
        (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00", "video/mp4"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR", "image/png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01", "image/jpeg"),
        (b"II*\x00\x08\x00\x00\x00" + bytes(8), "image/tiff"),
        (b"MM\x00*\x00\x00\x00\x08" + bytes(8), "image/tiff"),
        (b'  {"door": "\xe5\xb1\x85\xe5', "application/json"),  # the last character is cut
        (b"[1, 2, 3]       ", "application/json"),
        (b"\xef\xbb\xbfdate,door,card\r\n2026-01-05,", "text/csv"),
        ("日付,扉,カード\r\n".encode("cp932"), "text/csv"),
        ("居室の扉\n".encode(), "text/plain"),
    ],
)
def test_media_type_is_seen_in_the_first_bytes(head: bytes, media_type: str) -> None:
    assert detect_media_type(head) == media_type


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"   ",
        b"RIFF\x24\x00\x00\x00AVI LIST",
        b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00",
        b"date,door\x00,card,,,",
        b"\x1b[2J,a,b,c,d,e,f,g",
        b"\x80\xff\xfe\xfd" * 4,
        b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00",
    ],
)
def test_anything_else_is_octets(head: bytes) -> None:
    assert detect_media_type(head) == "application/octet-stream"


def test_a_pdf_that_begins_later_is_no_pdf() -> None:
    assert detect_media_type(b"\n%PDF-1.7 after a line") == "text/plain"
