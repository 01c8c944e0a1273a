from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import RefusedError
from vault.records.intake.mp4 import mp4_check


def box(name: bytes, body: bytes = b"", size: int | None = None) -> bytes:
    return (8 + len(body) if size is None else size).to_bytes(4, "big") + name + body


def long_box(name: bytes, body: bytes = b"", size: int | None = None) -> bytes:
    return b"\0\0\0\1" + name + (16 + len(body) if size is None else size).to_bytes(8, "big") + body


def check(document: bytes, *cuts: int) -> None:
    checker = mp4_check()
    edges = [0, *sorted(cuts), len(document)]
    for start, end in pairwise(edges):
        checker.update(memoryview(document)[start:end])
    checker.begin()
    checker.finish()


FTYP, MOOV, MDAT, MOOF = box(b"ftyp", b"isom\0\0\2\0"), box(b"moov", bytes(20)), box(b"mdat", bytes(30)), box(b"moof")
VIDEO = {
    "index first": FTYP + MOOV + MDAT,
    "index last": FTYP + box(b"free") + MDAT + MOOV,
    "fragmented": FTYP + MOOV + (MOOF + MDAT) * 3 + box(b"mfra", bytes(4)),
    "64-bit size": FTYP + long_box(b"mdat", bytes(9)) + MOOV,
    "last box to the end": FTYP + MOOV + box(b"mdat", bytes(9), size=0),
    "last box to the end, empty": FTYP + MOOV + MDAT + box(b"free", size=0),
    "unknown boxes": FTYP + box(b"uuid", bytes(16)) + box(b"\xa9abc") + MOOV + MDAT,
}
REFUSED = {
    "empty": (b"", "mp4-malformed", "ftyp"),
    "no ftyp": (MOOV + MDAT, "mp4-malformed", "ftyp"),
    "ftyp later": (box(b"free") + FTYP + MOOV + MDAT, "mp4-malformed", "ftyp"),
    "ftyp twice": (FTYP + FTYP + MOOV + MDAT, "mp4-malformed", "ftyp"),
    "ftyp to the end": (box(b"ftyp", b"isom\0\0\2\0", size=0) + MOOV + MDAT, "mp4-malformed", "box-size"),
    "short ftyp": (box(b"ftyp", b"isom") + MOOV + MDAT, "mp4-malformed", "box-size"),
    "box smaller than its header": (FTYP + MOOV + box(b"mdat", bytes(9), size=7), "mp4-malformed", "box-size"),
    "long box smaller than its header": (FTYP + MOOV + long_box(b"mdat", size=15), "mp4-malformed", "box-size"),
    "zeros behind the video": (FTYP + MOOV + MDAT + bytes(64), "mp4-malformed", "box-name"),
    "no media": (FTYP + MOOV, "mp4-malformed", "no-mdat"),
    "two indexes": (FTYP + MOOV + MDAT + MOOV, "mp4-malformed", "moov"),
    "no index": (FTYP + MDAT, "mp4-unfinished", None),
    "index swallowed by the box before": (FTYP + box(b"mdat", bytes(9), size=0) + MOOV, "mp4-unfinished", None),
    "cut in a box": (FTYP + MOOV + MDAT[:-1], "mp4-truncated", None),
    "cut in a header": (FTYP + MOOV + MDAT + b"\0\0\0\x10fre", "mp4-truncated", None),
    "cut in a long size": (FTYP + MOOV + MDAT + long_box(b"free")[:-1], "mp4-truncated", None),
    "huge box": (FTYP + MOOV + long_box(b"mdat", bytes(9), size=2**64 - 1), "mp4-truncated", None),
    "fragment without its media": (FTYP + MOOV + MOOF + MDAT + MOOF, "mp4-truncated", None),
}


@pytest.mark.parametrize("document", VIDEO.values(), ids=VIDEO)
def test_video_is_taken_however_it_is_cut(document: bytes) -> None:
    for cut in range(len(document)):
        check(document, cut)
    check(document, *range(len(document)))


@pytest.mark.parametrize(("document", "code", "reason"), REFUSED.values(), ids=REFUSED)
def test_other_boxes_are_refused_however_they_are_cut(document: bytes, code: str, reason: str | None) -> None:
    for cut in range(len(document) + 1):
        with pytest.raises(RefusedError) as refused:
            check(document, cut)
        assert (refused.value.code, refused.value.facts.get("reason")) == (code, reason)


def test_very_many_empty_boxes_are_refused() -> None:
    with pytest.raises(RefusedError) as refused:
        check(FTYP + MOOV + MDAT + box(b"free") * 200_000)
    assert refused.value.facts == {"reason": "boxes"}


@pytest.mark.parametrize("name", ["index first", "index last", "fragmented", "64-bit size"])
def test_every_shorter_video_is_refused_except_between_boxes(name: str) -> None:
    document = VIDEO[name]
    ends = {len(FTYP + MOOV + (MOOF + MDAT) * count) for count in (1, 2, 3)} if name == "fragmented" else set()
    for length in set(range(len(document))) - ends:
        with pytest.raises(RefusedError):
            check(document[:length])


@given(st.binary(max_size=100), st.integers(0, 90))
def test_any_bytes_are_refused_or_taken_but_nothing_else(noise: bytes, keep: int) -> None:
    document = VIDEO["index first"]
    for candidate in (noise, document[:keep] + noise, document[:keep] + noise + document[keep:]):
        try:
            check(candidate)
        except RefusedError as refused:
            assert refused.code.startswith("mp4-")  # noqa: PT017  # which of them does not matter
