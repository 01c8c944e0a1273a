"""Shares: any k of n open, fewer or wrong ones are refused with a reason."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import RefusedError
from vault.keys.shares import Share, combine_shares, parse_share, split_secret

SECRET = bytes(range(16))


def test_any_three_of_five_give_the_secret_back_in_any_order() -> None:
    shares = split_secret(SECRET, 3, 5)
    for some in itertools.permutations(shares, 3):
        assert combine_shares(some) == SECRET
    assert combine_shares(shares) == SECRET


@given(st.binary(min_size=16, max_size=16), st.integers(2, 6), st.integers(0, 4))
def test_a_printed_line_is_read_as_the_share_it_was(secret: bytes, threshold: int, more: int) -> None:
    for share in split_secret(secret, threshold, threshold + more):
        assert parse_share(share.line(), 1) == share


def test_the_line_is_pinned_because_it_lies_printed_in_safes() -> None:
    line = Share(2, 3, 1, SECRET).line()
    assert line == "kura-share-1-2-3-1-000102030405060708090a0b0c0d0e0f-34b0"


def test_capitals_and_spaces_do_not_matter() -> None:
    share = split_secret(SECRET, 2, 3)[0]
    assert parse_share(f"  {share.line().upper().replace('-', ' - ')}\n", 1) == share


def test_every_single_mistyped_character_is_noticed() -> None:
    line = Share(2, 3, 1, SECRET).line()
    for place, letter in enumerate(line):
        other = "1" if letter != "1" else "2"
        with pytest.raises(RefusedError) as caught:
            parse_share(line[:place] + other + line[place + 1 :], 4)
        assert (caught.value.code, caught.value.facts) == ("share-mistyped", {"position": 4})


@pytest.mark.parametrize("line", ["", "kura-share-1", "a passphrase", Share(1, 3, 1, SECRET).line(),
                                  Share(3, 2, 1, SECRET).line(), Share(2, 3, 4, SECRET).line()])  # fmt: skip
def test_what_is_no_share_is_refused(line: str) -> None:
    with pytest.raises(RefusedError):
        parse_share(line, 1)


def test_too_few_shares_are_refused_instead_of_giving_a_wrong_secret() -> None:
    with pytest.raises(RefusedError) as caught:
        combine_shares(split_secret(SECRET, 3, 5)[:2])
    assert (caught.value.code, caught.value.facts) == ("shares-too-few", {"given": 2, "needed": 3})
    with pytest.raises(RefusedError):
        combine_shares([])


def test_the_same_share_twice_does_not_count_as_two() -> None:
    shares = split_secret(SECRET, 3, 5)
    with pytest.raises(RefusedError) as caught:
        combine_shares([shares[0], shares[1], shares[1]])
    assert (caught.value.code, caught.value.facts) == ("share-duplicated", {"index": 2})


def test_shares_of_another_plan_are_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        combine_shares([*split_secret(SECRET, 2, 5)[:1], *split_secret(SECRET, 2, 6)[1:2]])
    assert caught.value.code == "shares-mixed"


def test_a_spare_share_of_another_set_is_noticed() -> None:
    ours, others = split_secret(SECRET, 2, 3), split_secret(bytes(16), 2, 3)
    with pytest.raises(RefusedError) as caught:
        combine_shares([*ours[:2], others[2]])
    assert caught.value.code == "shares-mixed"


@pytest.mark.parametrize(("threshold", "count"), [(1, 3), (0, 3), (4, 3), (2, 100), (-1, 2)])
def test_impossible_plans_are_refused(threshold: int, count: int) -> None:
    with pytest.raises(RefusedError) as caught:
        split_secret(SECRET, threshold, count)
    assert caught.value.code == "share-plan-impossible"
