"""One small deposit at a time: median and p99, and, in a run of its own, where the time goes.

The second run wraps the calls that cost: its sum is a little larger than the first run's figure, its shares are what
it is for. What is left over is Python's: checks, rows, events, and handing work from thread to thread.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import yardstick
from bench.child import run
from bench.inputs import pdf
from bench.options import Options
from bench.pairs import percentile, ratios, spread
from bench.park import park
from bench.result import Result
from bench.stopwatch import Stopwatch, watch_vault
from bench.vaults import CONTRACT, clerk, make_vault, opened, request_for, warm_up
from vault.records.source import BytesSource

_CONTENT_BYTES = 100 << 10
_SHOWN_DIGITS = 3


def deposit_latency(options: Options) -> Result:
    """A single deposit of a PDF of 100 KiB: median, p99 and what it consists of."""
    count = 20 if options.quick else 500
    yardsticks, medians, extra = [], [], {}
    for _ in range(options.rounds):
        folder = options.fresh("yardstick")
        folder.mkdir(parents=True)
        yardsticks.append(run(timed_yardstick, folder, count).figures["median_ms"])
        park(folder)
        figures = _deposits(options, count, watched=False)
        medians.append(figures["median_ms"])
        extra = {"p99_ms": figures["p99_ms"]}
    extra["shares_ms"] = _deposits(options, count, watched=True)["shares_ms"]
    extra |= {"deposits": count, "rounds": options.rounds, "quick": options.quick}
    ours, theirs = spread(medians).median, spread(yardsticks).median
    return Result("deposit-latency", ours, "ms", theirs, ratios(yardsticks, medians), extra)


def timed_yardstick(folder: str, count: int) -> Mapping[str, Any]:
    """Store small PDFs one at a time by the yardstick."""
    source = Path(folder) / "source.pdf"
    source.write_bytes(_document())
    seconds = []
    for number in range(count):
        target = Path(folder) / f"{number}"
        target.mkdir()
        seconds.append(yardstick.put([source], [target], threads=1))
    return {"median_ms": percentile(seconds, 50) * 1000}


def timed_deposits(folder: str, count: int, watched: bool) -> Mapping[str, Any]:  # noqa: FBT001 - it comes from JSON
    """Deposit small PDFs one at a time."""
    stopwatch = Stopwatch()
    with opened(Path(folder)) as vault:
        for _ in range(10):
            warm_up(vault, ".pdf")
        if watched:
            watch_vault(stopwatch, vault)
        actor, seconds = clerk(vault), []
        for number in range(count):
            request, source = request_for(f"{number}.pdf"), BytesSource(_document())
            begin = time.perf_counter()
            vault.deposits.deposit(actor, CONTRACT, request, source).receipt.encode()
            seconds.append(time.perf_counter() - begin)
    shares = {name: spent / count for name, spent in stopwatch.seconds.items()}
    if watched:
        shares["python"] = sum(seconds) / count - sum(shares.values())
    return {
        "median_ms": percentile(seconds, 50) * 1000,
        "p99_ms": round(percentile(seconds, 99) * 1000, _SHOWN_DIGITS),
        "shares_ms": {name: round(spent * 1000, _SHOWN_DIGITS) for name, spent in shares.items()},
    }


def _deposits(options: Options, count: int, *, watched: bool) -> Mapping[str, Any]:
    folder = options.fresh("vault")
    make_vault(folder)
    figures = run(timed_deposits, folder, count, watched).figures
    park(folder)
    return figures


def _document() -> bytes:
    return pdf(os.urandom(_CONTENT_BYTES))
