"""What is sent is what was measured, or it is not sent."""

import hashlib
import os
import random
from pathlib import Path

import pytest
from ledger_vectors import refused

from vault.client.batch import MAX_ITEMS, BatchBody, BatchItem, grouped, results_of
from vault.client.content import Content, content_of
from vault.errors import IntegrityError, RefusedError, UnavailableError

LENGTHS = [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (3 << 20) + 7]


@pytest.fixture(params=[bytes, Path], ids=["bytes", "file"])
def source(request: pytest.FixtureRequest) -> type:
    kind: type = request.param
    return kind


def measured(kind: type, content: bytes, tmp_path: Path) -> Content:
    if kind is bytes:
        return content_of(content)
    (tmp_path / "file").write_bytes(content)
    return content_of(tmp_path / "file")


@pytest.mark.parametrize("length", LENGTHS)
def test_bytes_and_files_are_measured_and_given_twice(source: type, length: int, tmp_path: Path) -> None:
    content = random.Random(length).randbytes(length)
    body = measured(source, content, tmp_path)
    assert (body.size, body.digest) == (length, hashlib.sha256(content).digest())
    for _ in range(2):
        assert b"".join(body.parts()) == content
    assert all(len(part) <= 1 << 20 for part in body.parts())


@pytest.mark.parametrize("changed", [b"", b"shorter", b"other bytes", b"before and more"])
def test_a_file_that_changed_is_never_given_to_its_end(tmp_path: Path, changed: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before this")
    body = content_of(path)
    path.write_bytes(changed)
    given = b""
    with refused(UnavailableError, "source-changed"):
        for part in body.parts():
            given += part
    assert len(given) < body.size


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with refused(RefusedError, "source-not-a-file"):
            content_of(path)
    with refused(UnavailableError, "source-unreadable"):
        content_of(tmp_path / "missing")


def test_a_file_that_went_away_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    body = content_of(tmp_path / "file")
    (tmp_path / "file").unlink()
    with refused(UnavailableError, "source-unreadable"):
        list(body.parts())


def test_a_batch_is_as_long_as_it_says() -> None:
    contents = [content_of(b"%PDF" * count) for count in (0, 1, 5_000)]
    body = BatchBody([BatchItem({"id": str(place)}, content) for place, content in enumerate(contents)])
    sent = b"".join(body.parts())
    assert len(sent) == body.size
    assert sent.startswith(b'{"content_bytes":0,"id":"0","sha256":"')
    assert sent.endswith(b'"}\n' + b"%PDF" * 5_000)


def test_groups_cover_everything_in_order_and_keep_the_limits() -> None:
    drawn = random.Random(7)
    for _ in range(100):
        sizes = [drawn.randint(0, 4 << 20) for _ in range(drawn.randint(0, 600))]
        groups = list(grouped(sizes))
        assert [index for group in groups for index in group] == list(range(len(sizes)))
        assert all(0 < len(group) <= MAX_ITEMS and sum(sizes[group.start : group.stop]) <= 32 << 20 for group in groups)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"results": {}}', b'{"results": []}', b'{"results": [1]}'])
def test_an_answer_about_other_items_is_refused(body: bytes) -> None:
    with refused(IntegrityError, "vault-answer-malformed"):
        results_of(body, 1)
