"""The vault's side of one PDF worker: starts it, asks it, kills and replaces it. Which document is asked is not known.

A worker that dies, answers nonsense or keeps silent is killed; the next question starts another one.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from vault.errors import UnavailableError
from vault.records.intake.pdf_protocol import MAX_ANSWER_BYTES, OK, READY, REFUSALS

_MODULE = "vault.records.intake.pdf_worker"
_START_TIMEOUT_S = 30.0  # a busy machine may take long to import; a start that failed is seen at once


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """What a worker may use."""

    memory_mib: int  # address space, Python and the arena included
    timeout_s: float  # for one document, of wall time
    recycle_after: int  # documents; then a fresh process takes over, so that no leak or damage lasts

    @property
    def cpu_s(self) -> int:
        """Processor time of a whole life: never reached while every document keeps to its time."""
        return int(self.timeout_s * self.recycle_after) + 1


class PdfChild:
    """One worker, started at the first question. Asked by one thread at a time.

    The kernel ends a worker when the thread that started it ends (PR_SET_PDEATHSIG), so ask from threads that last.
    """

    def __init__(self, arena_fd: int, arena_bytes: int, limits: WorkerLimits) -> None:
        """Take what a worker will need; start none."""
        self._arena_fd, self._arena_bytes, self._limits = arena_fd, arena_bytes, limits
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._asked = 0

    @property
    def process_id(self) -> int | None:
        """The worker's process, None where none runs."""
        return None if self._process is None else self._process.pid

    def ask(self, request: bytes, descriptors: Sequence[int] = ()) -> bytes | None:
        """Put one question and give the answer: OK or one of REFUSALS; None where the worker failed over it.

        Raises:
            UnavailableError: no worker could be started; the document was not looked at.
        """
        vault = self._running()
        try:
            socket.send_fds(vault, [request], descriptors)
            answer = vault.recv(MAX_ANSWER_BYTES)
        except OSError:  # timeouts are among them
            answer = b""
        self._asked += 1
        if answer != OK and answer not in REFUSALS:
            self.kill()
            return None
        if self._asked >= self._limits.recycle_after:
            self.kill()
        return answer

    def interrupt(self) -> None:
        """Kill the worker from another thread: a thread in `ask` then gets None at once."""
        process = self._process
        if process is not None:
            process.kill()

    def kill(self) -> None:
        """End the worker at once, if one runs. Harmless to repeat."""
        process, vault = self._process, self._socket
        self._process = self._socket = None
        if process is not None:
            process.kill()
            process.wait()
        if vault is not None:
            vault.close()

    def _running(self) -> socket.socket:
        """Give the socket of a live worker: one that died between two documents is nobody's fault."""
        if self._process is not None and self._process.poll() is not None:
            self.kill()
        return self._socket if self._socket is not None else self._start()

    def _start(self) -> socket.socket:
        vault, worker = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with worker:
                self._process = self._spawn(worker.fileno())
            self._socket, self._asked = vault, 0
            vault.settimeout(_START_TIMEOUT_S)
            if vault.recv(MAX_ANSWER_BYTES) != READY:
                raise ConnectionError
            vault.settimeout(self._limits.timeout_s)
        except OSError as error:
            self.kill()
            vault.close()  # once more where the program did not even start
            raise UnavailableError("pdf-pool-unavailable") from error
        return vault

    def _spawn(self, worker_fd: int) -> subprocess.Popen[bytes]:
        """Start the program with nothing of the vault's: no environment, no folder, no descriptors but two."""
        numbers = (worker_fd, self._arena_fd, self._arena_bytes, self._limits.memory_mib, self._limits.cpu_s)
        return subprocess.Popen(  # noqa: S603  # our own program with numbers for arguments
            [sys.executable, "-P", "-s", "-m", _MODULE, *map(str, numbers), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # a parser's complaint may quote the document
            pass_fds=(worker_fd, self._arena_fd),
            env={"PYTHONPATH": str(Path(str(files("vault"))).parent), "PYTHONDONTWRITEBYTECODE": "1"},
            cwd="/",
        )
