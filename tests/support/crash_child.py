"""The process that is killed. Run as a program: it forks one child per line of standard input, and waits for it.

Lines in: {"folder", "seed", "now", "sealed"}; then "go", once the tracer is attached. Lines out: {"pid"}, one
{"id", "digest", "receipt"} per acknowledged deposit, {"failed"} where the load raised, {"ended": status}.
"""

import ctypes
import json
import os
import threading
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from crash_load import plan, run_load

from vault.records.deposited import Deposited

_PR_SET_PTRACER, _ANY = 0x59616D61, ctypes.c_ulong(-1)
_LOCK = threading.Lock()


def main() -> None:
    fork_for_each_line(_deposit)


def fork_for_each_line(work: Callable[[Any], None]) -> None:
    """Have a child of its own do `work` on each line of standard input, and wait for it."""
    while line := read_line():
        if (pid := os.fork()) == 0:
            _child(work, json.loads(line))
        _, status = os.waitpid(pid, 0)
        report(ended=status)


def _child(work: Callable[[Any], None], job: object) -> None:
    # Where only a parent may trace its child: anybody may trace this one.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANY, 0, 0, 0)
    try:
        work(job)
    except BaseException:  # noqa: BLE001 - the parent is told whatever it was
        report(failed=traceback.format_exc())
        os._exit(1)
    os._exit(0)


def begin() -> None:
    """Tell who is to be traced, and wait until it is."""
    report(pid=os.getpid())
    assert read_line() == "go"


def _deposit(job: dict[str, Any]) -> None:
    begin()
    load = plan(job["seed"], datetime.fromisoformat(job["now"]), is_sealed=job["sealed"])
    run_load(Path(job["folder"]), load, _acknowledge)


def _acknowledge(done: Deposited) -> None:
    digest = done.digest.hex() if done.digest is not None else None
    report(id=done.record_id, digest=digest, receipt=done.receipt.encode())


def report(**line: object) -> None:
    with _LOCK:  # the newline before ends what a killed child may have begun
        os.write(1, b"\n" + json.dumps(line).encode() + b"\n")


def read_line() -> str:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)  # one by one: the next line is the child's
        if not byte:
            return ""
        line += byte
    return line.decode().strip()


if __name__ == "__main__":
    main()
