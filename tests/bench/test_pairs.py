"""The arithmetic of paired rounds."""

import pytest

from bench.pairs import alternate, percentile, ratios, spread


def test_every_other_round_runs_backwards() -> None:
    order: list[str] = []

    def case(name: str) -> float:
        order.append(name)
        return float(len(order))

    measured = alternate({name: lambda name=name: case(name) for name in "abc"}, 3)  # type: ignore[misc]  # a default
    assert order == list("abccbaabc")
    assert measured == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


def test_ratios_are_taken_pair_by_pair_before_the_median() -> None:
    # The machine was twice as slow in the second round: the ratio does not show it.
    over = ratios([4.0, 8.0, 5.0], [2.0, 4.0, 2.0])
    assert (over.median, over.low, over.high) == (2.0, 2.0, 2.5)


def test_rounds_without_a_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0, 2.0], [1.0])


def test_the_spread_is_that_of_the_outermost_rounds() -> None:
    over = spread([3.0, 1.0, 2.0, 9.0])
    assert (over.median, over.low, over.high) == (2.5, 1.0, 9.0)


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (99, 99), (100, 100), (1, 1), (99.5, 100)])
def test_percentiles_are_by_nearest_rank(percent: float, expected: int) -> None:
    assert percentile([float(value) for value in range(100, 0, -1)], percent) == expected


def test_the_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 99) == 7.0
