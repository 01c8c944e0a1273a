"""Index tokens: alike for what people mean by one value, unlike for anything else, and meaningless without the key."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.sealing.index_token import SUBJECT_KEY, TOKEN_BYTES, index_token, normalized

KEY = bytes(range(32))


def token(value: str, key: bytes = KEY, field: str = SUBJECT_KEY) -> bytes:
    return index_token(key, field, value)


def test_a_token_is_the_hmac_that_is_written_down() -> None:
    expected = hmac.new(KEY, b"kura/index-token/v1\nsubject_key\nnis-00001", hashlib.sha256).digest()[:16]
    assert token("NIS-00001") == expected
    assert len(expected) == TOKEN_BYTES


ALIKE = ["NIS-00001", "nis-00001", "ＮＩＳ－００００１", " NIS-00001 ", "　NIS-00001　", "Nis-00001\n"]


@pytest.mark.parametrize("value", ALIKE)
def test_width_case_and_surrounding_space_do_not_matter(value: str) -> None:
    assert token(value) == token("NIS-00001")


@pytest.mark.parametrize(
    ("one", "other"), [("ｶﾞ", "ガ"), ("か\u3099", "が"), ("①", "1"), ("Straße", "STRASSE"), ("㈱", "(株)")]
)
def test_other_ways_of_writing_one_text_are_one(one: str, other: str) -> None:
    assert token(one) == token(other)


@pytest.mark.parametrize("value", ["NIS-00002", "NIS-0001", "NIS-00001a", "NIS 00001", "", "NIS-0000１１"])
def test_other_values_have_other_tokens(value: str) -> None:
    assert token(value) != token("NIS-00001")


def test_buckets_and_fields_share_no_token() -> None:
    assert len({token("x"), token("x", bytes(32)), token("x", field="telephone"), token("telephone\nx")}) == 4


@given(st.text(st.characters(codec="utf-8")))
def test_normalizing_twice_changes_nothing_more(value: str) -> None:
    once = normalized(value)
    assert token(once) == token(value) or normalized(once) != once


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_tokens_are_equal_exactly_where_normal_forms_are(one: str, other: str) -> None:
    assert (token(one) == token(other)) == (normalized(one) == normalized(other))
