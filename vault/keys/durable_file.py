"""Writing a small file so that a crash leaves the old bytes or the new ones; leaves out what the bytes mean.

Every function is durable on return and passes OSError on. Files are made with mode 0600.
"""

import os
from pathlib import Path

_MODE = 0o600
_FOLDER_MODE = 0o700


def make_folder(path: Path) -> None:
    """Make a folder and those above it, with mode 0700, where they are missing."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(_FOLDER_MODE)
        sync_folder(path.parent)


def create_file(path: Path, data: bytes | bytearray) -> None:
    """Make a file that does not exist yet. A crash may leave it cut short."""
    _write_and_sync(path, data, os.O_CREAT | os.O_EXCL)
    sync_folder(path.parent)


def replace_file(path: Path, data: bytes) -> None:
    """Make a file or put it in the place of an older one, whole or not at all.

    A crash may leave a temporary file beside it: see `remove_leftover`.
    """
    temporary = temporary_path(path)
    _write_and_sync(temporary, data, os.O_CREAT | os.O_TRUNC)
    temporary.replace(path)
    sync_folder(path.parent)


def remove_leftover(path: Path) -> bool:
    """Remove the temporary file that a cut `replace_file` left, and say whether there was one."""
    temporary = temporary_path(path)
    if not temporary.exists():
        return False
    temporary.unlink()
    sync_folder(path.parent)
    return True


def overwrite_file(path: Path, data: bytes | bytearray) -> None:
    """Overwrite the bytes of an existing file in place, and make it as long as `data`.

    In place, so that the old bytes are gone where they stood, as far as the file system and the disk beneath it do
    not keep copies. A crash may leave any mixture of old and new bytes.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        written = 0
        while written < len(data):
            written += os.pwrite(descriptor, memoryview(data)[written:], written)
        if os.fstat(descriptor).st_size != len(data):
            os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_path(path: Path) -> Path:
    """Say where `replace_file` writes before it renames."""
    return path.with_name(path.name + ".new")


def _write_and_sync(path: Path, data: bytes | bytearray, flags: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | flags, _MODE)
    try:
        written = 0
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
