from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from vault.records.import_id import import_id
from vault.records.request import check_record_id

SCOPE = ("0123456789abcdef", "nishinomiya", "application_form")


@given(st.binary(max_size=50), st.integers(0, 1 << 40), st.integers(-(1 << 62), 1 << 62))
def test_an_id_is_a_record_id_and_always_the_same(path: bytes, size: int, mtime_ns: int) -> None:
    first = import_id(SCOPE, path, size, mtime_ns)
    check_record_id(first)
    assert import_id(SCOPE, path, size, mtime_ns) == first


def test_an_id_carries_the_time_of_the_file() -> None:
    assert UUID(import_id(SCOPE, b"a", 1, 1_700_000_000_123_456_789)).int >> 80 == 1_700_000_000_123


def test_whatever_differs_makes_another_id() -> None:
    ids = {
        import_id(SCOPE, b"a/b", 1, 1),
        import_id(SCOPE, b"a/c", 1, 1),
        import_id(SCOPE, b"a/b", 2, 1),
        import_id(SCOPE, b"a/b", 1, 2),
        import_id(SCOPE, b"a/b1", 1, 1),
        import_id(("0123456789abcdee", *SCOPE[1:]), b"a/b", 1, 1),
        import_id((SCOPE[0], "elsewhere", SCOPE[2]), b"a/b", 1, 1),
        import_id((*SCOPE[:2], "roster"), b"a/b", 1, 1),
        import_id((SCOPE[0], "nishinomiyaa", "pplication_form"), b"a/b", 1, 1),
    }
    assert len(ids) == 9
