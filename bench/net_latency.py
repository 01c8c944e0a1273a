"""From the last byte of a small deposit over TLS to its receipt: at 1, 8 and 64 clients, and where the time goes.

What is held against it is the yardstick's durable file alone. The shares come from a run of their
own whose calls are wrapped: what is left over is Python's, the network's, and handing work from thread to thread.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from bench.child import run
from bench.inputs import pdf
from bench.latency import timed_yardstick
from bench.load import send_all
from bench.options import Options
from bench.pairs import percentile, ratios, spread
from bench.park import park
from bench.result import Result
from bench.service import served
from bench.vaults import make_vault

_CONTENT_BYTES = 100 << 10
_CLIENTS = (1, 8, 64)
_SHOWN_DIGITS = 3


def net_latency(options: Options) -> Result:
    """From last byte to receipt: median and p99 at 1, 8 and 64 clients."""
    count = 64 if options.quick else 1000
    source = _documents(options.work / "documents", count)
    waits: dict[int, list[float]] = {clients: [] for clients in _CLIENTS}
    medians, yardsticks = [], []
    for _ in range(options.rounds):
        folder = options.fresh("yardstick")
        folder.mkdir(parents=True)
        yardsticks.append(run(timed_yardstick, folder, min(count, 500)).figures["median_ms"])
        park(folder)
        for clients in _CLIENTS:
            measured, _ = _sent(options, source, clients)
            waits[clients] += measured
            if clients == 1:
                medians.append(percentile(measured, 50))
    _, shares = _sent(options, source, 1, kind="watched")
    extra: dict[str, object] = {
        f"{name}_ms_at_{clients}": round(percentile(waits[clients], percent), _SHOWN_DIGITS)
        for clients in _CLIENTS
        for name, percent in (("median", 50), ("p99", 99))
    }
    extra["shares_ms"] = {name: round(spent / count * 1000, _SHOWN_DIGITS) for name, spent in shares.items()}
    extra |= {"deposits": count, "rounds": options.rounds, "quick": options.quick}
    ours, theirs = spread(medians).median, spread(yardsticks).median
    return Result("net-latency", ours, "ms", theirs, ratios(yardsticks, medians), extra)


def _sent(options: Options, source: Path, clients: int, kind: str = "vault") -> tuple[list[float], Mapping[str, float]]:
    folder = options.fresh("vault")
    make_vault(folder)
    with served(folder, kind) as service:
        arguments = (service.port, service.certificate(".pdf"), service.authority, source, clients, 1)
        waits = list(run(send_all, *arguments).figures["waits_ms"])
    park(folder)
    return waits, service.shares


def _documents(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:05d}.pdf").write_bytes(pdf(os.urandom(_CONTENT_BYTES)))
    return folder
