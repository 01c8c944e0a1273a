"""What a benchmark found, and the one line of JSON that it ends with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Spread:
    """A median of paired rounds, with the lowest and the highest of them."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Result:
    """One benchmark's outcome.

    Attributes:
        name: of the benchmark.
        figure: the median of what was measured.
        unit: of `figure`.
        yardstick: the same of what it is held against, in the same unit.
        ratio: how we fare against it, pair by pair; above 1 is better than the yardstick, whatever the unit.
        extra: further figures, by name.
    """

    name: str
    figure: float
    unit: str
    yardstick: float
    ratio: Spread
    extra: Mapping[str, object] = field(default_factory=dict)

    def line(self) -> str:
        """Give the line of JSON: name, figure, unit, yardstick, ratio, spread (lowest and highest ratio), the rest."""
        values: dict[str, object] = {
            "name": self.name,
            "figure": _short(self.figure),
            "unit": self.unit,
            "yardstick": _short(self.yardstick),
            "ratio": _short(self.ratio.median),
            "spread": [_short(self.ratio.low), _short(self.ratio.high)],
        }
        return json.dumps(values | dict(self.extra), ensure_ascii=False)


def _short(value: float) -> float:
    """Leave out digits that say nothing: four are kept."""
    return float(f"{value:.4g}")
