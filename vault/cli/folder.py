"""The files of a folder that is imported: regular ones, in order; links and hidden names are left out."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vault.errors import RefusedError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file below the folder."""

    folder: Path
    relative: Path

    def open(self) -> int:
        """Open it, and nothing that took its place as a link.

        Raises:
            RefusedError: it cannot be read.
        """
        try:
            return os.open(self.folder / self.relative, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            raise RefusedError("input-unreadable", reason=type(error).__name__) from error

    def written_at(self, facts: os.stat_result) -> str:
        """Say when it was last written: for an imported document, the best known day on which it came."""
        return (_EPOCH + timedelta(microseconds=facts.st_mtime_ns // 1000)).isoformat()


def files_below(folder: Path) -> list[FoundFile]:
    """List the files below a folder, by path.

    Raises:
        RefusedError: it is no folder, or cannot be read.
    """
    if not folder.is_dir():
        raise RefusedError("input-unreadable", reason="NotADirectoryError")
    found: list[FoundFile] = []

    def fail(error: OSError) -> None:
        raise RefusedError("input-unreadable", reason=type(error).__name__) from error

    for below, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(below) / name
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                found.append(FoundFile(folder, path.relative_to(folder)))
    return found
