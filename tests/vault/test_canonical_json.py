"""Canonical JSON: byte for byte what an independent RFC 8785 serializer gives, and nothing that it would not take."""

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from vault.canonical_json import canonical_json

_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_NAMES = st.text(st.characters(max_codepoint=127), max_size=8)
_SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _TEXTS
_VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner) | st.dictionaries(_NAMES, inner), max_leaves=30)


@given(_VALUES)
def test_an_independent_serializer_gives_the_same_bytes(value: object) -> None:
    encoded = canonical_json(value)  # type: ignore[arg-type]  # hypothesis forgets the type
    assert encoded == rfc8785.dumps(value)  # type: ignore[arg-type]
    assert json.loads(encoded) == value


def test_every_character_is_escaped_alike() -> None:
    for code in range(0x10000):
        if not 0xD800 <= code < 0xE000:
            assert canonical_json(chr(code)) == rfc8785.dumps(chr(code))
    assert canonical_json("𠮷野家") == rfc8785.dumps("𠮷野家")


@pytest.mark.parametrize(
    "value",
    [1.5, 2**53, -(2**53), {"é": 1}, {1: "x"}, {"a": [{"b": 0.0}]}, b"bytes", {"a"}, "\ud800", {"a": "\udfff"}],
    ids=repr,
)
def test_what_has_no_one_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of several kinds: a text without UTF-8 is one
        canonical_json(value)  # type: ignore[arg-type]
