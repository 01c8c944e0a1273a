"""A child process that runs the product's own code and kills itself at its n-th call that changes the disk."""

import json
import os
import signal
from collections.abc import Callable
from typing import Any, Literal

DISK_CALLS = ("open", "write", "pwrite", "ftruncate", "fsync", "replace", "rename", "unlink", "mkdir")

How = Literal["before", "after", "torn"]
Interrupt = Callable[[], None]


def interrupt_disk(
    set_attribute: Callable[[object, str, object], None], number: int, how: How, interrupt: Interrupt
) -> list[str]:
    """Replace the calls that change the disk by ones that interrupt at the given one; give the list they log to."""
    calls: list[str] = []

    def interrupted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # stands for calls of every shape
            if name == "open" and not args[1] & os.O_CREAT:
                return real(*args, **kwargs)
            calls.append(name)
            if len(calls) != number:
                return real(*args, **kwargs)
            if how == "torn" and name in {"write", "pwrite"}:
                real(args[0], args[1][: len(args[1]) // 2], *args[2:])
            if how == "after":
                real(*args, **kwargs)
            return interrupt()

        return call

    for name in DISK_CALLS:
        set_attribute(os, name, interrupted(name, getattr(os, name)))
    return calls


def kill_this_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run_killed(number: int, how: How, work: Callable[[Callable[[object], None]], None]) -> tuple[bool, list[Any]]:
    """Run work in a child that is killed at a call, and say whether it lived, and what it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write = os.write  # the real one: acknowledging is no disk call

            def acknowledge(fact: object) -> None:
                write(writing, json.dumps(fact).encode() + b"\n")

            interrupt_disk(setattr, number, how, kill_this_process)
            work(acknowledge)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        acknowledged = [json.loads(line) for line in pipe]
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, -signal.SIGKILL}, "the child failed by itself"
    return status == 0, acknowledged
