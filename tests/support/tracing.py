"""Killing a process from outside at its n-th system call of a kind, with strace, and reading what it was doing."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

_CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")


@dataclass(frozen=True)
class Call:
    """One traced call: the number it has among its thread's traced calls, from 1, and its line."""

    thread: int
    ordinal: int
    name: str
    arguments: str


class Nursery:
    """The process that forks those to be killed; starting Python once is enough."""

    def __init__(self, program: Path, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(environment),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, job: Mapping[str, object], strace: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Run one job under strace; give what its child reports, its end as the last."""
        self._send(json.dumps(job))
        pid = next(self._lines())["pid"]
        tracer = subprocess.Popen(["strace", "-f", "-y", *strace, "-p", str(pid)], stderr=subprocess.PIPE, text=True)
        assert tracer.stderr is not None
        first = tracer.stderr.readline()
        assert "attached" in first, first
        self._send("go")
        for line in self._lines():
            yield line
            if "ended" in line:
                break
        tracer.stderr.read()
        tracer.wait()
        tracer.stderr.close()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _lines(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{") and line.endswith("}\n"):
                yield json.loads(line)


def read_trace(path: Path) -> list[Call]:
    """Read what strace wrote; a call that another thread interrupted is counted once, where it began."""
    counts: Counter[int] = Counter()
    calls = []
    for line in path.read_text(errors="replace").splitlines():
        match = _CALL.match(line)
        if match is not None:
            thread = int(match[1])
            counts[thread] += 1
            calls.append(Call(thread, counts[thread], match[2], match[3]))
    return calls
