"""The root of a journal's lines, against a tree copied from the standard, for bytes that come cut anywhere."""

import hmac
from itertools import pairwise

import naive_tree
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vault.client import JOURNAL_KINDS
from vault.records.journals import JournalKind, JournalLines, Lines, lines_of

KEY = bytes(range(32))


def expected(content: bytes, key: bytes = KEY) -> Lines:
    """As the format says: lines end before their LF; what follows the last LF is a line where there is any."""
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    secret = hmac.new(key, b"kura/journal-lines/v1\n", "sha256").digest()
    salts = [hmac.new(secret, index.to_bytes(8, "big"), "sha256").digest() for index in range(len(lines))]
    return Lines(
        len(lines), naive_tree.merkle_tree_hash([salt + line for salt, line in zip(salts, lines, strict=True)])
    )


def counted(content: bytes, cuts: list[int], key: bytes = KEY) -> Lines:
    journal = JournalLines(key)
    places = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    for begin, end in pairwise(places):
        journal.update(memoryview(content)[begin:end])
    return journal.finish()


JOURNALS = {
    "empty": b"",
    "one LF": b"\n",
    "no final LF": b"a\nb",
    "final LF": b"a\nb\n",
    "CRLF": b"a\r\nb\r\n",
    "CR alone": b"a\rb\r",
    "empty lines": b"\n\na\n\n",
    "null bytes": b"\0\n\0\0\n",
}


@pytest.mark.parametrize("content", JOURNALS.values(), ids=JOURNALS)
def test_every_way_to_cut_gives_the_same_root(content: bytes) -> None:
    for cut in range(len(content) + 1):
        for other in range(cut, len(content) + 1):
            assert counted(content, [cut, other]) == expected(content)


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"", b"long line " * 9])), st.lists(st.integers(0, 400)))
def test_any_journal_cut_anywhere_has_the_root_of_the_standards_tree(parts: list[bytes], cuts: list[int]) -> None:
    content = b"".join(parts)
    assert counted(content, cuts) == expected(content)


@settings(max_examples=3)
@given(st.sampled_from([1_023, 1_024, 1_025, 2_048, 2_500]), st.lists(st.integers(0, 9_000)))
def test_many_lines_have_it_too(lines: int, cuts: list[int]) -> None:
    content = b"".join(b"%d\n" % number for number in range(lines))
    assert counted(content, cuts) == expected(content)


def test_another_key_line_or_order_is_another_root() -> None:
    roots = [
        counted(b"a\nb\n", []),
        counted(b"a\nb\n", [], bytes(32)),
        counted(b"b\na\n", []),
        counted(b"a\nb\n\n", []),
        counted(b"a\nc\n", []),
        counted(b"a\r\nb\n", []),
    ]
    assert len({root.root for root in roots}) == len(roots)


def test_every_kind_of_journal_has_lines_and_nothing_else_has() -> None:
    assert all(lines_of(kind, KEY) is not None for kind in JournalKind)
    assert lines_of("application_form", KEY) is None


def test_the_client_knows_the_same_kinds() -> None:
    assert list(JOURNAL_KINDS) == list(JournalKind)
