"""A folder whose files are sent as they appear. The file itself is the spool: it goes only once its receipt is kept.

Order for each file, and what a crash after each step leaves: its number bound to path, size and time – the restart
sends the same id; the receipt checked and kept – the same, and the vault says it has it; the receipt beside the file's
place in `sent/` – the same; the file moved there, or deleted – done.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vault.client.answers import Taken
from vault.client.durable import move_file, remove_file, replace_file
from vault.client.naming import SIDECAR, Naming, sidecar_of
from vault.client.problems import is_final
from vault.client.station import Station
from vault.errors import KuraError, Language, RefusedError, UnavailableError

_TEMPORARY = (".part", ".tmp", ".partial", ".filepart", ".crdownload", "~")
_FILES_OWN = ("source-changed", "source-unreadable", "watched-name-too-long")
_DESCRIBED = ("subject-key-not-in-name", "sidecar-malformed", "time-without-offset", "deposit-unwritable")
_LOCKS = Path("/proc/locks")
_PROOF = ".tlog-proof"
_LONGEST_NAME_BYTES = 230  # a file system takes 255, and a receipt beside it has a longer name


@dataclass(slots=True)
class Look:
    """What one look at the folder came to.

    Attributes:
        refused: how many files were put aside.
        waiting: how many stay.
        trouble: why, where it is more than that they are not settled yet.
    """

    refused: int = 0
    waiting: int = 0
    trouble: KuraError | None = None


class Watcher(Protocol):
    """Who is told what becomes of each file, once its place says so, too."""

    def sent(self, name: str, record_id: str) -> None:
        """It went."""

    def refused(self, name: str, error: KuraError) -> None:
        """It was put aside."""


class WatchedFolder:
    """Sends the files of one folder through one station."""

    def __init__(
        self,
        folder: Path,
        station: Station,
        naming: Naming,
        watcher: Watcher,
        *,
        now_s: Callable[[], float],
        settle_s: float,
        deletes: bool,
        language: Language,
    ) -> None:
        """Begin to watch.

        Args:
            folder: its own files are sent, those of its folders are not.
            station: that sends.
            naming: what is said of each file.
            watcher: is told.
            now_s: a clock that only goes forward, in seconds.
            settle_s: for so long a file must not have changed.
            deletes: whether files that went are deleted and not moved to `sent/`.
            language: of what is written beside refused files.

        Raises:
            UnavailableError: `watch-failed`.
        """
        self._folder, self._station, self._naming, self._watcher = folder.absolute(), station, naming, watcher
        self._now_s, self._settle_s, self._deletes, self._language = now_s, settle_s, deletes, language
        self._sent, self._refused = self._folder / "sent", self._folder / "refused"
        self._is_orderly = False  # whether numbers of files that are no longer here were looked at
        self._seen: dict[str, tuple[int, int, float]] = {}  # size, time and since when
        self._prefix = f"file:{hashlib.sha256(os.fsencode(self._folder)).hexdigest()}:"
        try:
            for path in (self._sent, self._refused):
                path.mkdir(0o700, exist_ok=True)
        except OSError as error:
            raise UnavailableError("watch-failed", reason=type(error).__name__) from error

    def look(self) -> Look:
        """Send what is ready. Trouble with the vault or the station ends the look; trouble with a file does not."""
        look = Look()
        try:
            for path, facts in self._files():
                if look.trouble is not None and look.trouble.code not in _FILES_OWN:
                    look.waiting += 1
                elif self._is_ready(path, facts):
                    self._take(path, facts, look)
                else:
                    look.waiting += 1
            if look.trouble is None:
                self._put_in_order()
        except OSError as error:
            look.trouble = UnavailableError("watch-failed", reason=type(error).__name__)
        except KuraError as error:
            look.trouble = error
        return look

    def _put_in_order(self) -> None:
        if not self._is_orderly:
            present = {self._key(path, facts) for path, facts in self._files()}
            self._station.settle(lambda key: key.startswith(self._prefix) and key not in present)
            self._is_orderly = True
        self._station.upkeep()

    def _take(self, path: Path, facts: os.stat_result, look: Look) -> None:
        try:
            if len(os.fsencode(path.name)) > _LONGEST_NAME_BYTES:
                raise RefusedError("watched-name-too-long")
            described = self._naming.describe(path, facts)
            taken = self._station.send(path, described, key=self._key(path, facts))
        except KuraError as error:
            if is_final(error) or (isinstance(error, RefusedError) and error.code in _DESCRIBED):
                self._put_aside(path, error)
                self._watcher.refused(path.name, error)
                look.refused += 1
                return
            look.waiting += 1
            look.trouble = error
            return
        if not taken.is_compared or not self._is_unchanged(path, facts):
            look.waiting += 1  # a sealed vault could not compare; or it was written to after it was read
            return
        self._let_go(path, taken)
        self._watcher.sent(path.name, taken.record_id)

    def _files(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Give the files that are meant to be sent, by name."""
        for path in sorted(self._folder.iterdir()):
            if path.name.startswith(".") or path.name.endswith(_TEMPORARY):
                continue
            if self._naming.has_sidecars and path.name.endswith(SIDECAR):
                continue
            with suppress(FileNotFoundError):  # gone since
                facts = path.lstat()
                if stat.S_ISREG(facts.st_mode):
                    yield path, facts

    def _is_ready(self, path: Path, facts: os.stat_result) -> bool:
        """Tell whether a file is whole as far as one can see: unchanged for a while, locked by nobody who writes."""
        if self._naming.has_sidecars:
            sidecar = sidecar_of(path)
            if not sidecar.exists() or not self._is_settled(sidecar, sidecar.stat()):
                return False
        return self._is_settled(path, facts) and not _is_locked(facts)

    def _is_settled(self, path: Path, facts: os.stat_result) -> bool:
        size, mtime_ns, since = self._seen.get(path.name, (-1, -1, 0.0))
        if (size, mtime_ns) != (facts.st_size, facts.st_mtime_ns):
            since = self._now_s()
            self._seen[path.name] = facts.st_size, facts.st_mtime_ns, since
        return self._now_s() - since >= self._settle_s

    def _is_unchanged(self, path: Path, facts: os.stat_result) -> bool:
        now = path.lstat()
        return (now.st_size, now.st_mtime_ns, now.st_ino) == (facts.st_size, facts.st_mtime_ns, facts.st_ino)

    def _let_go(self, path: Path, taken: Taken) -> None:
        proof = taken.receipt.encode().encode()
        if self._deletes:  # the file's name goes with it
            replace_file(self._sent / f"{taken.record_id}{_PROOF}", [proof])
            for gone in self._with_sidecar(path):
                remove_file(gone)
            return
        self._move(path, self._sent, _PROOF, proof)

    def _put_aside(self, path: Path, error: KuraError) -> None:
        sentence = " ".join(error.sentence(self._language).split())
        self._move(path, self._refused, ".txt", f"{sentence}\n".encode())

    def _move(self, path: Path, to: Path, suffix: str, beside: bytes) -> None:
        """Move a file, and what belongs to it, once what stands beside its new place is durable."""
        target = _free_place(to, path.name, suffix, beside)
        replace_file(target.with_name(target.name + suffix), [beside])
        for moved, place in zip(self._with_sidecar(path), (target, sidecar_of(target)), strict=False):
            move_file(moved, place)

    def _with_sidecar(self, path: Path) -> Iterator[Path]:
        """Give the files that go together, and forget how long they have been here."""
        for one in (path, sidecar_of(path)) if self._naming.has_sidecars else (path,):
            self._seen.pop(one.name, None)
            if one.exists():
                yield one

    def _key(self, path: Path, facts: os.stat_result) -> str:
        """Name a file by what tells it from others, without saying its name."""
        told = os.fsencode(path.name) + f"\0{facts.st_size}\0{facts.st_mtime_ns}".encode()
        return self._prefix + hashlib.sha256(told).hexdigest()


def _free_place(folder: Path, name: str, suffix: str, beside: bytes) -> Path:
    """Find a name in a folder that is not taken; what a cut move left beside it is its own."""
    for number in range(1, 1 << 20):
        place = folder / (name if number == 1 else f"{number}-{name}")
        other = place.with_name(place.name + suffix)
        if place.exists() or sidecar_of(place).exists() or (other.exists() and other.read_bytes() != beside):
            continue
        return place
    raise FileExistsError(name)


def _is_locked(facts: os.stat_result) -> bool:
    """Tell whether somebody holds a lock to write on a file, where the system lists its locks."""
    try:
        lines = _LOCKS.read_text("ascii").splitlines()
    except OSError:
        return False
    place = f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}:{facts.st_ino}"
    return any("WRITE" in line and place in line.split() for line in lines)
