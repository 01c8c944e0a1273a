"""What binds an object is unambiguous and never changes."""

from hypothesis import given
from hypothesis import strategies as st

from vault.sealing.associated_data import object_associated_data

ARGUMENTS = st.tuples(st.text(max_size=6), st.text(max_size=6), st.text(max_size=6), st.integers(0, (1 << 32) - 1))


def test_the_bytes_are_pinned_because_stored_objects_depend_on_them() -> None:
    assert object_associated_data("minato", "r1", "走査", 2) == (
        b"\x00\x00\x00\x0ekura-object-v1\x00\x00\x00\x06minato\x00\x00\x00\x02r1"
        b"\x00\x00\x00\x06\xe8\xb5\xb0\xe6\x9f\xbb\x00\x00\x00\x02"
    )


@given(ARGUMENTS, ARGUMENTS)
def test_different_objects_never_share_their_associated_data(
    one: tuple[str, str, str, int], other: tuple[str, str, str, int]
) -> None:
    assert (object_associated_data(*one) == object_associated_data(*other)) == (one == other)


def test_moving_a_letter_from_one_field_to_the_next_gives_other_bytes() -> None:
    assert object_associated_data("ab", "c", "scan", 1) != object_associated_data("a", "bc", "scan", 1)
