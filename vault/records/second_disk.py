"""Looking after the second disk: what of the vault goes there, noticing that it is away, taking it back by itself.

The rows file and its base are `storage/second/`'s, the key store's replica `keys/key_replicas.py`'s. Here: in which
order a disk that is back gets everything again, and that its going and its coming stand in the operator's ledger.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vault.errors import KuraError
from vault.ledger.event import EventKind
from vault.ledger.guard import Guard
from vault.ledger.guard_on_both import GuardOnBoth
from vault.people.actor import VAULT
from vault.records.copying import write_file
from vault.records.ground import Ground, append_operator_event
from vault.records.manifest import SETTINGS
from vault.service_log import service_log
from vault.storage.second.disk import SecondDisk

_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class SecondDiskHealth:
    """What the second disk has: why it lacks rows (None: it lacks none), and whether its key store is up to date."""

    folder: Path
    reason: str | None
    has_keys: bool

    @property
    def is_whole(self) -> bool:
        """Whether the vault could be made anew from this disk."""
        return self.reason is None and self.has_keys


class SecondDiskKeeper:
    """What an opened vault does for its second disk; nothing where it has none."""

    def __init__(self, ground: Ground, guard: Guard, folder: Path) -> None:
        """Take the vault's parts; `begin` begins."""
        self._ground, self._guard, self._folder = ground, guard, folder
        self._was_whole = True
        self._tending: threading.Thread | None = None
        self._not_before = 0.0

    def begin(self) -> None:
        """At opening, when no ledger has gone back: go on with the rows file, or make a new base."""
        second = self._ground.second
        if second is None:
            return
        is_new = second.begin()
        self._bring_up_files(second)
        self._tell(second, is_new=is_new)

    def tend(self) -> None:
        """Begin a round in a thread of its own, unless one is under way: a base of a large vault takes its time."""
        if self._ground.second is None or (self._tending is not None and self._tending.is_alive()):
            return
        self._tending = threading.Thread(target=self._round, args=(self._ground.second,), name="second-disk")
        self._tending.start()

    def finish(self) -> None:
        """Wait for the round under way."""
        if self._tending is not None:
            self._tending.join()

    def health(self) -> SecondDiskHealth | None:
        """Say what the second disk has; None where there is none."""
        second = self._ground.second
        if second is None:
            return None
        return SecondDiskHealth(second.folder, second.reason, self._try(self._ground.bring_up_keys))

    def _round(self, second: SecondDisk) -> None:
        is_new = False
        if second.reason is not None and second.is_there and time.monotonic() >= self._not_before:
            # Before the rows: as long as those lack something, nobody else writes this disk's guard.
            self._bring_up_files(second)
            is_new = second.take_back()
            if not is_new:  # a full disk is there and takes no base; to copy the database again and again helps nobody
                self._not_before = time.monotonic() + _PATIENCE_S
        second.require_not_outgrown()
        self._try(self._ground.bring_up_keys)
        self._tell(second, is_new=is_new)

    def _bring_up_files(self, second: SecondDisk) -> None:
        """Write the guard's files and the settings anew; where that fails the disk is away."""
        if not second.is_there:
            return
        try:
            if isinstance(self._guard, GuardOnBoth):
                for log in self._ground.sequencer.logs():
                    if log.is_open and log.size:
                        self._guard.bring_up(log.id, log.signed(log.checkpoint()))
            (second.folder / "keys").mkdir(mode=0o700, exist_ok=True)  # the replica is made where its folder is
            settings = self._folder / SETTINGS
            if settings.is_file() and settings.read_bytes() != (second.folder / SETTINGS).read_bytes():
                write_file(second.folder / SETTINGS, settings.read_bytes())
        except (OSError, KuraError) as error:
            second.lost(error)

    def _tell(self, second: SecondDisk, *, is_new: bool) -> None:
        """Append to the operator's ledger that the disk went, or that what stands there was made anew."""
        was_whole, self._was_whole = self._was_whole, second.reason is None
        if self._ground.operator_ledger_id not in {log.id for log in self._ground.sequencer.logs()}:
            return  # a vault being made
        if is_new:
            self._append(EventKind.SECOND_DISK_RENEWED, {})
        elif was_whole and not self._was_whole:
            self._append(EventKind.SECOND_DISK_MISSED, {"reason": second.reason or ""})

    def _append(self, kind: EventKind, body: dict[str, str]) -> None:
        event = VAULT.did(kind, self._ground.clock(), {**body})
        self._try(lambda: append_operator_event(self._ground, event))

    def _try(self, task: Callable[[], object]) -> bool:
        """Do something that the next round does again where it fails; say whether it came out true."""
        try:
            return bool(task())
        except KuraError as error:
            service_log().warning("second-disk", code=error.code)
            return False
