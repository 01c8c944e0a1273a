"""Time is counted once, for the innermost call that is watched."""

import pytest

from bench.stopwatch import Stopwatch


def test_a_call_inside_another_counts_for_the_inner_one_only() -> None:
    now = 0.0

    def work(seconds: float) -> float:
        nonlocal now
        now += seconds
        return now

    stopwatch = Stopwatch(lambda: now)
    inner = stopwatch.wrap("inner", lambda: work(1))
    outer = stopwatch.wrap("outer", lambda: (inner(), work(10), inner()))
    whole = stopwatch.wrap("whole", lambda: (outer(), work(100), outer()))
    whole()
    assert stopwatch.seconds == {"inner": 4, "outer": 20, "whole": 100}


def test_a_call_that_fails_is_counted_too() -> None:
    now = iter([0.0, 5.0])
    stopwatch = Stopwatch(lambda: next(now))
    with pytest.raises(ValueError, match="absent"):
        stopwatch.wrap("failing", int)("absent")
    assert stopwatch.seconds == {"failing": 5}


def test_a_patched_call_gives_what_it_gave_before() -> None:
    class Owner:
        @staticmethod
        def double(value: int) -> int:
            return 2 * value

    stopwatch = Stopwatch()
    stopwatch.patch("doubling", Owner, "double")
    assert Owner.double(21) == 42
    assert list(stopwatch.seconds) == ["doubling"]
