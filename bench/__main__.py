"""`python -m bench` lists the benchmarks, `python -m bench NAME` runs one, `python -m bench all` runs every one.

The last line of one is its JSON; `all` prints one such line for each. Progress goes to standard error.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.database import database_deposits
from bench.ingest import ingest_pdf, ingest_video, two_copies
from bench.large import large
from bench.latency import deposit_latency
from bench.ledger import ledger
from bench.memory import memory
from bench.net import net_batch, net_pdf, net_video
from bench.net_latency import net_latency
from bench.net_memory import net_memory
from bench.objects import objects_large, objects_small
from bench.one_transaction import one_transaction
from bench.options import Options
from bench.peers import peers
from bench.reading import read_bulk, read_each, verify
from bench.result import Result
from bench.two_processes import two_processes

BENCHMARKS: Mapping[str, Callable[[Options], Result]] = {
    "ingest-pdf": ingest_pdf,
    "ingest-video": ingest_video,
    "two-copies": two_copies,
    "one-transaction": one_transaction,
    "verify": verify,
    "read-bulk": read_bulk,
    "read-each": read_each,
    "memory": memory,
    "net-pdf": net_pdf,
    "net-video": net_video,
    "net-batch": net_batch,
    "net-latency": net_latency,
    "net-memory": net_memory,
    "deposit-latency": deposit_latency,
    "ledger": ledger,
    "peers": peers,
    "database-deposits": database_deposits,
    "two-processes": two_processes,
    "large": large,
    "objects-small": objects_small,
    "objects-large": objects_large,
}
_WORK = Path(__file__).parent / ".work"


def main(arguments: list[str]) -> int:
    """Run what was asked for; 0 when it ran, 2 for a name that is none."""
    parsed = _parser().parse_args(arguments)
    if parsed.name is None:
        for name, benchmark in BENCHMARKS.items():
            print(f"{name:16} {(benchmark.__doc__ or '').splitlines()[0]}")
        return 0
    names = list(BENCHMARKS) if parsed.name == "all" else [parsed.name]
    if not set(names) <= set(BENCHMARKS):
        print(f"No benchmark is called {parsed.name}. `python -m bench` lists them.", file=sys.stderr)
        return 2
    base = parsed.work or _WORK
    base.mkdir(parents=True, exist_ok=True)
    # One folder for all: outputs are cut to nothing after each run, and deleted only now, after the last one.
    with tempfile.TemporaryDirectory(prefix="run-", dir=base) as work:
        options = Options(Path(work).resolve(), parsed.rounds, parsed.quick, parsed.inputs)
        for name in names:
            print(BENCHMARKS[name](options).line(), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench", description="Measurements of the vault beside a yardstick.")
    parser.add_argument("name", nargs="?", help="a benchmark, or all; without it they are listed")
    parser.add_argument("--work", type=Path, help="folder to write in, on the file system to be measured")
    parser.add_argument("--inputs", type=Path, help="folder that keeps the inputs for the next run")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs (5)")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, measures nothing")
    return parser


if __name__ == "__main__":
    # Whoever ends a run ends it with its folders deleted and its image unmounted.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main(sys.argv[1:]))
