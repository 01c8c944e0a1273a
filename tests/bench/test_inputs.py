"""The inputs are the same every time, of the sizes that are said, and what the vault's own intake takes."""

import random
from io import BytesIO
from pathlib import Path

import pytest

from bench.inputs import PDF_BYTES, SEGMENT_BYTES, make_pdfs, make_segments, mp4, mp4_head, pdf
from bench.memory import SyntheticVideo
from vault.errors import RefusedError
from vault.records.intake.media_type import HEAD_BYTES, detect_media_type
from vault.records.intake.mp4 import mp4_check
from vault.records.intake.pdf_structure import check_structure


def test_inputs_are_the_same_every_time(tmp_path: Path) -> None:
    one, other = make_pdfs(tmp_path / "one", 3), make_pdfs(tmp_path / "other", 3)
    assert [path.read_bytes() for path in one.paths] == [path.read_bytes() for path in other.paths]


def test_inputs_of_a_run_before_are_taken_again(tmp_path: Path) -> None:
    made = make_pdfs(tmp_path / "pdfs", 2)
    before = [path.stat().st_mtime_ns for path in made.paths]
    again = make_pdfs(tmp_path / "pdfs", 2)
    assert again == made
    assert [path.stat().st_mtime_ns for path in again.paths] == before


def test_half_made_inputs_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "pdfs.part").mkdir()
    with pytest.raises(FileExistsError):
        make_pdfs(tmp_path / "pdfs", 2)


def test_pdfs_are_of_the_sizes_and_the_structure_that_the_vault_takes(tmp_path: Path) -> None:
    made = make_pdfs(tmp_path / "pdfs", 4)
    for path in made.paths:
        content = path.read_bytes()
        assert PDF_BYTES[0] < len(content) < PDF_BYTES[1] + 1024
        assert detect_media_type(content[:HEAD_BYTES]) == "application/pdf"
        check_structure(BytesIO(content), mapped=False)
    assert made.content_bytes == sum(path.stat().st_size for path in made.paths)


def test_a_pdf_that_is_cut_is_refused() -> None:
    with pytest.raises(RefusedError):
        check_structure(BytesIO(pdf(b"image" * 100)[:-200]), mapped=False)


def test_segments_are_valid_video_of_exactly_their_size(tmp_path: Path) -> None:
    [path] = make_segments(tmp_path / "segments", 1).paths
    content = path.read_bytes()
    assert len(content) == SEGMENT_BYTES
    assert detect_media_type(content[:HEAD_BYTES]) == "video/mp4"
    check = mp4_check()
    check.update(content)
    check.finish()


def test_a_segment_that_is_cut_is_refused() -> None:
    check = mp4_check()
    check.update(mp4(10_000, random.Random(1))[:-1])
    with pytest.raises(RefusedError):
        check.finish()


def test_media_of_four_gibibytes_get_a_long_box() -> None:
    media_bytes = 10 << 30
    head = mp4_head(media_bytes)
    assert head[-16:-8] == (1).to_bytes(4, "big") + b"mdat"
    assert int.from_bytes(head[-8:], "big") == 16 + media_bytes
    assert mp4_head(1000)[-8:] == (1008).to_bytes(4, "big") + b"mdat"


@pytest.mark.parametrize("content_bytes", [200, (3 << 20) + 17])
def test_a_synthetic_video_is_valid_and_of_its_size_however_it_is_read(content_bytes: int) -> None:
    source, check = SyntheticVideo(content_bytes), mp4_check()
    buffer, total = memoryview(bytearray(300_007)), 0
    while count := source.read_into(buffer):
        check.update(buffer[:count])
        total += count
    check.finish()
    assert total == content_bytes
