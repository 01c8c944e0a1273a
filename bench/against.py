"""The usual contest: a run of the vault against a run of the yardstick, pair by pair, each into a fresh folder."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench import yardstick
from bench.child import run
from bench.inputs import Inputs
from bench.options import Options
from bench.pairs import alternate, ratios, spread
from bench.park import park
from bench.result import Result

MEGABYTE = 1_000_000
OURS, YARDSTICK = "vault", "yardstick"


def contest(
    name: str, options: Options, inputs: Inputs, ours: Callable[[], float], theirs: Callable[[], float]
) -> Result:
    """Run both in alternating rounds; give files per second, and the ratio of speeds.

    Args:
        name: of the benchmark.
        options: rounds.
        inputs: what both work through.
        ours: one run of the vault, in seconds.
        theirs: one run of the yardstick, in seconds.
    """
    seconds = alternate({YARDSTICK: told(name, YARDSTICK, theirs), OURS: told(name, OURS, ours)}, options.rounds)
    files = len(inputs.paths)
    mine, measure = spread(seconds[OURS]).median, spread(seconds[YARDSTICK]).median
    extra: Mapping[str, object] = {
        "megabytes_per_s": round(inputs.content_bytes / mine / MEGABYTE),
        "files": files,
        "rounds": options.rounds,
        "quick": options.quick,
    }
    return Result(name, files / mine, "files/s", files / measure, ratios(seconds[YARDSTICK], seconds[OURS]), extra)


def told(name: str, case: str, measure: Callable[[], float]) -> Callable[[], float]:
    """Say on standard error what each run took."""

    def measured() -> float:
        seconds = measure()
        print(f"{name}: {case} {seconds:.3f} s", file=sys.stderr, flush=True)
        return seconds

    return measured


def yardstick_put(options: Options, inputs: Inputs, copies: int = 1) -> Callable[[], float]:
    """Give a run of the yardstick that stores the inputs, `copies` times."""

    def measured() -> float:
        folders = [options.fresh("yardstick") for _ in range(copies)]
        for folder in folders:
            folder.mkdir(parents=True)
        seconds = float(run(timed_put, inputs.folder, folders).figures["seconds"])
        for folder in folders:
            park(folder)
        return seconds

    return measured


def yardstick_get(options: Options, inputs: Inputs) -> Callable[[], float]:
    """Store the inputs by the yardstick, and give a run that reads them back."""
    folder = options.fresh("yardstick")
    folder.mkdir(parents=True)
    run(timed_put, inputs.folder, [folder])
    return lambda: float(run(timed_get, folder).figures["seconds"])


def timed_put(source: str, folders: list[str]) -> Mapping[str, Any]:
    """Store every file of a folder by the yardstick."""
    return {"seconds": yardstick.put(sorted(Path(source).iterdir()), [Path(folder) for folder in folders])}


def timed_get(folder: str) -> Mapping[str, Any]:
    """Read back what the yardstick stored."""
    return {"seconds": yardstick.get(sorted(Path(folder).iterdir()))}
