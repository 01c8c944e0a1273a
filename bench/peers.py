"""The nearest peers on the same 5,000 PDFs: restic, borg and age, beside the vault and the yardstick.

All are measured as whole processes, their start included, in alternating rounds; all leave everything durable: restic
and borg sync by themselves, what age wrote is synced within the time. Once on the working file system, once on a fresh
journaled ext4 in a loop device, for which root is needed. restic and borg also deduplicate and try to compress; the
vault also writes rows, a ledger and receipts.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench.against import OURS, YARDSTICK, timed_put, told
from bench.child import run
from bench.inputs import Inputs
from bench.options import Options
from bench.pairs import alternate, ratios, spread
from bench.park import park
from bench.result import Result
from bench.vaults import make_vault, timed_import

_PROGRAMS = ("restic", "borg", "age", "age-keygen")
_IMAGE_GIB = 40  # sparse: only what is written takes room
_AGE = """set -e
mkdir -p "$3"
cd "$2"
ls | xargs -P 2 -I{} age -r "$1" -o "$3/{}" "{}"
cd "$3"
ls | xargs -n 500 sync
sync .
"""


def peers(options: Options) -> Result:
    """restic, borg and age on the same PDFs, on the working file system and on a journaled ext4."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        raise SystemExit("Missing: " + ", ".join(missing) + ". Type: apt-get install restic borgbackup age e2fsprogs")
    options = replace(options, inputs=options.inputs or options.work / "inputs")
    inputs = options.pdfs()
    here = _contest(options, inputs, "peers")
    extra: dict[str, object] = {name: _told(values) for name, values in _ratios(here).items()}
    with _journaled(options) as mounted:
        if mounted is None:
            extra["journaled"] = "skipped: needs root, to mount a fresh ext4 image"
        else:
            there = _contest(replace(options, work=mounted), inputs, "peers (journaled ext4)")
            extra["journaled"] = {name: _told(values) for name, values in _ratios(there).items()}
    best = min((name for name in here if name not in (OURS, YARDSTICK)), key=lambda name: spread(here[name]).median)
    files = len(inputs.paths)
    extra |= {"best_peer": best, "files": files, "rounds": options.rounds, "quick": options.quick}
    ours, theirs = spread(here[OURS]).median, spread(here[best]).median
    return Result("peers", files / ours, "files/s", files / theirs, ratios(here[best], here[OURS]), extra)


def _contest(options: Options, inputs: Inputs, name: str) -> dict[str, list[float]]:
    """Give the seconds of every program, round by round."""
    cases: Mapping[str, Callable[[Options, Inputs], float]] = {
        YARDSTICK: _yardstick,
        OURS: _vault,
        "restic": _restic,
        "borg": _borg,
        "age": _age,
    }
    measured = {case: told(name, case, _bound(measure, options, inputs)) for case, measure in cases.items()}
    return alternate(measured, options.rounds)


def _bound(measure: Callable[[Options, Inputs], float], options: Options, inputs: Inputs) -> Callable[[], float]:
    return lambda: measure(options, inputs)


def _ratios(seconds: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Give the vault's speed as a multiple of each other's, round by round."""
    return {
        f"vault_over_{name}": [theirs / ours for theirs, ours in zip(taken, seconds[OURS], strict=True)]
        for name, taken in seconds.items()
        if name != OURS
    }


def _told(values: list[float]) -> list[float]:
    over = spread(values)
    return [round(value, 2) for value in (over.median, over.low, over.high)]


def _yardstick(options: Options, inputs: Inputs) -> float:
    folder = options.fresh("yardstick")
    folder.mkdir(parents=True)
    seconds = run(timed_put, inputs.folder, [folder]).process_s
    park(folder)
    return seconds


def _vault(options: Options, inputs: Inputs) -> float:
    folder = options.fresh("vault")
    make_vault(folder)
    seconds = run(timed_import, folder, inputs.folder).process_s
    park(folder)
    return seconds


def _restic(options: Options, inputs: Inputs) -> float:
    folder = options.fresh("restic")
    repository = ["restic", "--quiet", "--no-cache", "--repo", str(folder)]
    return _seconds(folder, [*repository, "init"], [*repository, "backup", str(inputs.folder)])


def _borg(options: Options, inputs: Inputs) -> float:
    folder = options.fresh("borg")
    create = ["borg", "create", f"{folder}::all", str(inputs.folder)]
    return _seconds(folder, ["borg", "init", "--encryption", "repokey", str(folder)], create)


def _age(options: Options, inputs: Inputs) -> float:
    folder = options.fresh("age")
    made = subprocess.run(["age-keygen"], check=True, capture_output=True, text=True)
    recipient = next(line.partition(": ")[2] for line in made.stdout.splitlines() if "public key" in line)
    return _seconds(folder, ["true"], ["sh", "-c", _AGE, "age", recipient, str(inputs.folder), str(folder)])


def _seconds(folder: Path, prepare: list[str], measured: list[str]) -> float:
    """Run what comes before, then measure; afterwards the output is put out of the way."""
    home = folder.with_name(folder.name + ".home")  # keys and settings of theirs do not come among the user's
    env = os.environ | {"RESTIC_PASSWORD": "bench", "BORG_PASSPHRASE": "bench", "BORG_BASE_DIR": str(home)}
    subprocess.run(prepare, check=True, env=env, capture_output=True)
    os.sync()
    begin = time.perf_counter()
    subprocess.run(measured, check=True, env=env, stdout=sys.stderr)
    seconds = time.perf_counter() - begin
    park(folder)
    return seconds


@contextmanager
def _journaled(options: Options) -> Iterator[Path | None]:
    """Give a folder on a fresh ext4 with a journal; None where that cannot be had."""
    if os.geteuid() != 0:
        yield None
        return
    image, mounted = options.fresh("image"), options.fresh("mounted")
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(_IMAGE_GIB << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "has_journal", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
    try:
        yield mounted
    finally:
        subprocess.run(["umount", str(mounted)], check=True)
        image.unlink()
