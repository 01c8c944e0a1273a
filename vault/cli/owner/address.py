"""Where the owner listens: a socket in the vault's folder, bound and reached by a short name however deep that lies."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vault.errors import UnavailableError

SOCKET = "socket"
_BACKLOG = 64


def listen(folder: Path) -> socket.socket:
    """Listen in `folder`, for its owner's user only.

    Called by the holder of the folder's lock: a socket that is there already was left behind by a crash.

    Raises:
        UnavailableError: the socket cannot be made.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o177)  # 0600 from the first moment
    try:
        with _short(folder) as address:
            with suppress(FileNotFoundError):
                Path(address).unlink()
            listener.bind(address)
            listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UnavailableError("socket-failed", reason=type(error).__name__) from error
    finally:
        os.umask(previous)
    return listener


def remove(folder: Path) -> None:
    """Remove the socket of an owner that ends."""
    with suppress(OSError):
        (folder / SOCKET).unlink()


def connect(folder: Path) -> socket.socket | None:
    """Reach the owner that listens in `folder`; None where nobody does."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as address:
            connected.connect(address)
    except OSError:
        connected.close()
        return None
    return connected


def peer_user(connected: socket.socket) -> int:
    """Say which user of the operating system is at the other end."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)  # struct ucred: pid, uid, gid
    return int.from_bytes(credentials[4:8], "little")


@contextmanager
def _short(folder: Path) -> Iterator[str]:
    """Lend an address of the socket that is shorter than the 107 bytes the kernel takes."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{SOCKET}"
    finally:
        os.close(fd)
