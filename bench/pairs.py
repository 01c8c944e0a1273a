"""Alternating rounds, medians and ratios pair by pair: on a shared machine only those mean anything."""

import statistics
from collections.abc import Callable, Mapping, Sequence

from bench.result import Spread


def alternate(cases: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every case once a round, in turn forwards and backwards, so that a drift of the machine hits all alike."""
    measured: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        for name in list(cases) if number % 2 == 0 else reversed(list(cases)):
            measured[name].append(cases[name]())
    return measured


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """Divide pair by pair; give the median ratio and the outermost ones."""
    return spread([above / below for above, below in zip(numerators, denominators, strict=True)])


def spread(values: Sequence[float]) -> Spread:
    """Give the median and the outermost values."""
    return Spread(statistics.median(values), min(values), max(values))


def percentile(values: Sequence[float], percent: float) -> float:
    """Give the smallest value that at least `percent` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = max(1, -int(-len(ordered) * percent // 100))
    return ordered[rank - 1]
