"""The program of a PDF worker: limits itself, then answers requests until its socket closes. Decides no rule itself.

Run as `python -m vault.records.intake.pdf_worker SOCKET ARENA ARENA_BYTES MEMORY_MIB CPU_S PARENT`: two inherited
descriptors, the arena's size, the most address space, the most processor time of its whole life, the parent's id.

It opens documents of unknown origin. What a document can do to it: end it, hold it until the vault kills it, or make
it lie about this document and about others that it is asked or that lie in the arena meanwhile. What it cannot: write
files, dump memory, gain rights, start processes (unless the vault runs as root), change the arena, or outlive the
vault.
"""

import ctypes
import io
import mmap
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from vault.errors import RefusedError, sentences
from vault.records.intake.pdf_protocol import DOCUMENT, MAX_TOGETHER, OK, PASSED, READY, SLOT_BYTES
from vault.records.intake.pdf_structure import check_structure

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h
_MAX_DESCRIPTORS = 16


def main(arguments: list[str]) -> None:
    """Work until the vault closes its end of the socket."""
    socket_fd, arena_fd, arena_bytes, memory_mib, cpu_s, parent = map(int, arguments)
    _die_with(parent)
    sentences()  # read while files may still be opened
    _limit(memory_mib << 20, cpu_s)
    arena = mmap.mmap(arena_fd, arena_bytes, prot=mmap.PROT_READ)
    with socket.socket(fileno=socket_fd) as vault:
        vault.send(READY)
        while True:
            request, descriptors, _, _ = socket.recv_fds(vault, MAX_TOGETHER * DOCUMENT.size, 1)
            if not request:
                return
            for slot, length in DOCUMENT.iter_unpack(request):
                vault.send(_verdict(arena, slot, length, descriptors))


def _verdict(arena: mmap.mmap, slot: int, length: int, descriptors: list[int]) -> bytes:
    """Check one document. A MemoryError ends the program: what is left of it may be in no order."""
    try:
        if slot == PASSED:
            with os.fdopen(descriptors[0], "rb", buffering=0) as document:
                check_structure(document, mapped=True)
        else:
            start = slot * SLOT_BYTES
            check_structure(io.BytesIO(arena[start : start + length]), mapped=False)
    except RefusedError as refusal:
        return refusal.code.encode("ascii")
    return OK


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the thread that started it ends, and not before."""
    for request_to_end in (signal.SIGINT, signal.SIGTERM):  # sent to all at once; the vault still has documents to ask
        signal.signal(request_to_end, signal.SIG_IGN)
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:  # it ended before the line above
        sys.exit()
    with suppress(OSError):  # where the whole machine runs out of memory, the kernel shall take this process first
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def _limit(memory_bytes: int, cpu_s: int) -> None:
    """Give up, for good, what opening a document does not need."""
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: _MAX_DESCRIPTORS,
    }
    for limit, value in limits.items():
        _, hard = resource.getrlimit(limit)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (allowed, allowed))


if __name__ == "__main__":
    main(sys.argv[1:])
