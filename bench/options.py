"""What a benchmark is told: where to work, how often, and whether small sizes will do."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from bench.inputs import Inputs, make_pdfs, make_segments


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of one run.

    Attributes:
        work: folder for everything that is written; on the file system to be measured.
        rounds: pairs of runs.
        quick: small sizes: shows that the benchmark works, measures nothing.
        inputs: folder of the inputs, where not below `work`.
    """

    work: Path
    rounds: int = 5
    quick: bool = False
    inputs: Path | None = None
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def fresh(self, name: str) -> Path:
        """Give the path of a folder that nobody used yet; it is not made."""
        while (path := self.work / f"{name}-{next(self._numbers)}").exists():
            pass
        return path

    def pdfs(self) -> Inputs:
        """5,000 PDFs."""
        count = 40 if self.quick else 5000
        return make_pdfs(self._inputs() / f"pdfs-{count}", count)

    def segments(self) -> Inputs:
        """100 video segments of 12 MiB."""
        count = 4 if self.quick else 100
        return make_segments(self._inputs() / f"segments-{count}", count)

    def _inputs(self) -> Path:
        return self.inputs or self.work / "inputs"
