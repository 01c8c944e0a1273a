"""Finding the line of a key."""

import pytest

from retention.policy_lines import KeyLines, KeyPath, write_key

TEXT = '''\
plain = 1
"quoted key" = 2
a.b.c = 3   # dotted
inline = { x = 1 }
many = [
  "one",
]
long = """
plain = 9
[not.a.header]
"""
closed = """one line"""
[t]  # a table
x = 1
[t.u]
 x = 1
[[s]]
id = 1
[[s]]
id = 2
[ spaced . out ]
x = 1
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("plain",), 1),
        (("quoted key",), 2),
        (("a", "b", "c"), 3),
        (("a",), 3),
        (("inline",), 4),
        (("inline", "x"), 4),
        (("many",), 5),
        (("long",), 8),
        (("closed",), 12),
        (("t",), 13),
        (("t", "x"), 14),
        (("t", "missing"), 13),
        (("t", "u", "x"), 16),
        (("s",), 17),
        (("s", 1), 17),
        (("s", 1, "id"), 18),
        (("s", 2, "id"), 20),
        (("s", 2, "missing"), 19),
        (("spaced", "out", "x"), 22),
        (("not", "a", "header"), 1),
        (("nowhere",), 1),
        ((), 1),
    ],
)
def test_a_key_is_found_where_it_or_its_holder_stands(path: KeyPath, line: int) -> None:
    assert KeyLines(TEXT).line_of(path) == line


def test_windows_line_ends_count_the_same() -> None:
    assert KeyLines(TEXT.replace("\n", "\r\n")).line_of(("s", 2, "id")) == 20


def test_a_path_is_written_as_an_operator_reads_it() -> None:
    assert write_key(("class", "call_recording", "retain")) == "class.call_recording.retain"
    assert write_key(("site", 2, "id")) == "site[2].id"
    assert not write_key(())
