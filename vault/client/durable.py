"""Files that a crash leaves whole or leaves as they were. All are made with mode 0600; OSError is passed on."""

import os
from collections.abc import Iterable
from pathlib import Path

from cryptography.utils import Buffer

_MODE = 0o600
_TEMPORARY = ".new"


def replace_file(path: Path, parts: Iterable[Buffer]) -> None:
    """Write a file, or put it in the place of an older one; whole and durable on return.

    Where `parts` raises, nothing is left; a crash may leave `<name>.new` beside it.
    """
    temporary = path.with_name(path.name + _TEMPORARY)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_NOFOLLOW | os.O_CREAT | os.O_TRUNC, _MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def move_file(path: Path, to: Path) -> None:
    """Rename a file within its file system; durable on return."""
    path.replace(to)
    sync_folder(to.parent)
    sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file; durable on return."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
