"""Every timed run is a process of its own: clean memory, a fresh interpreter lock, nothing of the run before."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Ran:
    """One run: what the function gave, and the seconds of the whole process from its start to its end."""

    figures: Mapping[str, Any]
    process_s: float


def run(function: Callable[..., Mapping[str, Any]], *arguments: object, env: Mapping[str, str] | None = None) -> Ran:
    """Call a function of this package in a new process.

    Args:
        function: at the top of a module of `bench`; gives what JSON can hold.
        arguments: what JSON can hold; paths become texts.
        env: added to the environment.

    Raises:
        RuntimeError: the process failed; its messages went to standard error.
    """
    words = [function.__module__, function.__name__, json.dumps(arguments, default=str)]
    os.sync()
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "bench._run", *words],
        cwd=ROOT,
        env=os.environ | dict(env or {}),
        stdout=subprocess.PIPE,
        check=False,
    )
    process_s = time.perf_counter() - begin
    if done.returncode != 0:
        raise RuntimeError(function.__module__, function.__name__)
    return Ran(json.loads(done.stdout.splitlines()[-1]), process_s)
