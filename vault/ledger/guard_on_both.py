"""The rollback guard on two disks, and the moment at which a commit is on both of them.

The sequencer stores the new checkpoint here before it answers anybody; so this is where the rows file is made durable.
A second disk that fails is away, and nobody waits for it; where the first one is away, too, nobody is answered.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from vault.errors import IntegrityError
from vault.ledger.checkpoint import Checkpoint
from vault.ledger.guard import Guard
from vault.ledger.note import VerifierKey
from vault.storage.second.disk import SecondDisk


class GuardOnBoth(Guard):
    """The guard files in two folders, one on each disk; the first one's rules are `Guard`'s."""

    def __init__(self, folder: Path, second_folder: Path, disk: SecondDisk) -> None:
        """Use both folders; the second may be away."""
        super().__init__(folder)
        self._second = Guard(second_folder)
        self._disk = disk
        self._beside = ThreadPoolExecutor(1, "second-guard")  # two disks write at one time

    def create(self, ledger_id: str) -> None:
        """Make the files of a new ledger; errors as `Guard.create`."""
        super().create(ledger_id)
        try:
            self._second.create(ledger_id)
        except OSError as error:
            self._disk.lost(error)

    def store(self, ledger_id: str, note: str) -> None:
        """Make the commit durable on the second disk, then keep its checkpoint on both.

        Raises:
            OSError: the first guard failed, or both disks are away.
        """
        on_second = self._beside.submit(self._store_on_second, ledger_id, note)
        try:
            super().store(ledger_id, note)
        finally:
            on_second.result()
        if self._disk.is_first_away and self._disk.reason is not None:
            raise FileNotFoundError(ledger_id)

    def newest(self, ledger_id: str, key: VerifierKey) -> Checkpoint | None:
        """The newest checkpoint that either disk keeps; errors as `Guard.newest`, of the first disk."""
        found = [super().newest(ledger_id, key)]
        with suppress(IntegrityError):  # away, or torn by a power cut: `bring_up` writes it anew
            found.append(self._second.newest(ledger_id, key))
        return max((one for one in found if one is not None), key=lambda one: one.size, default=None)

    def bring_up(self, ledger_id: str, note: str) -> None:
        """Write a checkpoint into the second disk's guard, as after it was away; the file is made where it is missing.

        Raises:
            OSError: the disk failed.
        """
        self._second.close()  # the file may be another one than that which was open
        self._second.replace(ledger_id, note)

    def close(self) -> None:
        """Close the files."""
        self._beside.shutdown()
        super().close()
        self._second.close()

    def _store_on_second(self, ledger_id: str, note: str) -> None:
        self._disk.sync()
        if self._disk.reason is None:  # after the rows: this guard is never ahead of them
            try:
                self._second.store(ledger_id, note)
            except OSError as error:
                self._disk.lost(error)
