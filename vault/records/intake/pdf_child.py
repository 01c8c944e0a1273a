"""The vault's side of one PDF worker: starts it, asks it, kills and replaces it. Which document is asked is not known.

A worker that dies, answers nonsense or keeps silent is killed; the next question starts another one.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Executor
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
    """One worker, started at the first question. Used by one thread at a time, but for `interrupt`.

    The kernel ends a worker when the thread that started it ends (PR_SET_PDEATHSIG): `nursery`'s thread, which lasts.
    """

    def __init__(self, arena_fd: int, arena_bytes: int, limits: WorkerLimits, nursery: Executor) -> None:
        """Take what a worker will need; start none."""
        self._arena_fd, self._arena_bytes, self._limits, self._nursery = arena_fd, arena_bytes, limits, nursery
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._asked = 0

    @property
    def process_id(self) -> int | None:
        """The worker's process, None where none runs."""
        process = self._process
        return None if process is None or process.returncode is not None else process.pid

    def ask(self, request: bytes, descriptors: Sequence[int], documents: int) -> None:
        """Put documents to the worker, to be answered one by one.

        Raises:
            UnavailableError: no worker could be started; no document was looked at.
        """
        try:
            socket.send_fds(self._running(), [request], descriptors)
        except OSError:  # it died since it was looked at, before it could be asked: another one will do
            self.kill()
            try:
                socket.send_fds(self._running(), [request], descriptors)
            except OSError as error:
                self.kill()
                raise UnavailableError("pdf-pool-unavailable") from error
        self._asked += documents

    def answer(self) -> bytes | None:
        """Wait for the next answer: OK or one of REFUSALS; None where the worker failed, which ends it.

        After None no further answer comes: the documents after that one have not been looked at.
        """
        vault = self._socket
        try:
            answer = b"" if vault is None else vault.recv(MAX_ANSWER_BYTES)
        except OSError:  # timeouts are among them
            answer = b""
        if answer == OK or answer in REFUSALS:
            return answer
        self.kill()
        return None

    def rest(self) -> None:
        """Say that all answers were heard: a worker that has looked at enough documents ends."""
        if self._asked >= self._limits.recycle_after:
            self.kill()

    def interrupt(self) -> None:
        """End the worker from any thread; one that waits for an answer then gets None at once."""
        process = self._process
        if process is not None:
            process.kill()
            process.wait()

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
        if self._socket is not None:
            return self._socket
        try:
            return self._nursery.submit(self._start).result()
        except RuntimeError as error:  # the pool is closed
            raise UnavailableError("pdf-pool-unavailable") from error

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
