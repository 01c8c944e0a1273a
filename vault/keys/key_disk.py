"""Where one key file and its epoch slots lie: reading them together, writing each, finishing a run that was cut.

Invariants:
1. The key file is always whole: it is written beside and renamed.
2. Some slot always holds the epoch that the key file names.
3. When no run is under way, the other slot is dead. Until then nothing counts as destroyed.

`key_replicas.py` takes the steps in their order. After a crash the key file decides (`finish_cut_run`): its own epoch
stays, the other slot is overwritten with zeros.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vault.errors import ConflictError, IntegrityError, NotFoundError, UnavailableError
from vault.keys.durable_file import make_folder, remove_leftover, replace_file
from vault.keys.epoch import Epoch, SlotFiles, Slots, parse_slot
from vault.keys.key_file import KeyFile, parse_key_file
from vault.keys.key_parts import TakingPart
from vault.keys.wiping import wipe

_READ_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class StoredKeys:
    """What lies on the disk, read at one moment and proven but for the custodians' part.

    Attributes:
        file: the key file.
        taking: its opened taking part.
        epoch: the epoch it is sealed under.
        slot: the slot, 0 or 1, that holds this epoch.
        slots: both slots.
    """

    file: KeyFile
    taking: TakingPart
    epoch: Epoch
    slot: int
    slots: Slots

    def require_settled(self) -> None:
        """Check that the slot not in use is dead.

        Raises:
            IntegrityError: `epoch-slot-damaged`, or `epoch-run-unfinished`: a run was cut and not yet finished.
        """
        if parse_slot(self.slots.contents[1 - self.slot]) is not None:
            raise IntegrityError("epoch-run-unfinished")


class KeyDisk:
    """The key file and its two epoch slots. Not locked: its owner lets one thread in at a time."""

    def __init__(self, path: Path, epoch_dir: Path) -> None:
        """Name the key file and the folder of the slots; nothing is read yet."""
        self._path = path
        self._slot_files = SlotFiles(epoch_dir)

    def create(self, first: Epoch, data: bytes) -> None:
        """Make the slots and then the key file, where there are none.

        Raises:
            ConflictError: `key-store-exists` or `epoch-slots-exist`; nothing was changed.
            UnavailableError: `key-store-write-failed`.
        """
        with _write_errors():
            if self._path.exists():
                raise ConflictError("key-store-exists")
            make_folder(self._path.parent)
            self._slot_files.create(first)
            # A crash here leaves slots without a key file. They are not reused, as they might belong to a key file
            # that somebody is about to bring back: a person removes them.
            replace_file(self._path, data)

    @contextmanager
    def reading(self) -> Iterator[StoredKeys]:
        """Read everything and lend it; the secrets are wiped afterwards. Changes nothing on disk.

        Raises:
            NotFoundError: `key-file-missing`.
            UnavailableError: `key-store-unreadable`: also if a slot is missing.
            IntegrityError: `key-file-damaged`, `key-file-outdated` or `epoch-slot-damaged`.
        """
        file, slots = self._read_together()
        try:
            slot, epoch = slots.find(file.header.epoch)
            try:
                yield StoredKeys(file, file.open_taking(epoch.secret), epoch, slot, slots)
            finally:
                wipe(epoch.secret)
        finally:
            slots.wipe()

    def finish_cut_run(self, stored: StoredKeys) -> bool:
        """Bring a run that was cut to its end, and say whether there was one.

        Safe to be cut itself: `stored` has proven that the key file opens under its own slot, and only the other slot
        and the temporary file are touched.

        Raises:
            UnavailableError: `key-store-write-failed`.
        """
        with _write_errors():
            cut = remove_leftover(self._path)
            if not stored.slots.is_dead(1 - stored.slot):
                self._slot_files.kill(1 - stored.slot)
                cut = True
        return cut

    def rewrite(self, data: bytes) -> None:
        """Write the key file anew under the epoch it has; nothing is destroyed by this.

        Raises:
            UnavailableError: `key-store-write-failed`.
        """
        with _write_errors():
            replace_file(self._path, data)

    def begin_epoch(self, epoch: Epoch, old_slot: int) -> None:
        """Write a new epoch into the slot beside `old_slot` (0 or 1), which holds the epoch so far.

        Raises:
            UnavailableError: `key-store-write-failed`.
        """
        with _write_errors():
            self._slot_files.write(1 - old_slot, epoch)

    def end_epoch(self, old_slot: int) -> None:
        """Overwrite the slot of the epoch that ended with zeros.

        Raises:
            UnavailableError: `key-store-write-failed`.
        """
        with _write_errors():
            self._slot_files.kill(old_slot)

    @property
    def is_there(self) -> bool:
        """Whether the key file's folder exists: where it does not, the disk is not mounted."""
        return self._path.parent.is_dir()

    def become(self, epoch: Epoch, data: bytes) -> None:
        """Take another replica's epoch and key file, whatever is here; slots that are missing are made.

        A crash leaves what was here, or what cannot be read: both are brought up again.

        Raises:
            UnavailableError: `key-store-write-failed`.
        """
        with _write_errors():
            slot = self._slot_files.take(epoch)
            replace_file(self._path, data)
            self._slot_files.kill(1 - slot)

    def _read_together(self) -> tuple[KeyFile, Slots]:
        """Read file and slots as of one moment, also while another process (only ever its owner) writes them."""
        try:
            for _ in range(_READ_ATTEMPTS):
                before = self._slot_files.read()
                data = self._path.read_bytes()
                after = self._slot_files.read()
                if before == after:
                    before.wipe()
                    return parse_key_file(data), after
        except FileNotFoundError as error:
            if not self._path.exists():
                raise NotFoundError("key-file-missing") from error
            raise UnavailableError("key-store-unreadable") from error
        except OSError as error:
            raise UnavailableError("key-store-unreadable") from error
        raise UnavailableError("key-store-unreadable")


@contextmanager
def _write_errors() -> Iterator[None]:
    """Turn what the operating system reports into ours."""
    try:
        yield
    except OSError as error:
        raise UnavailableError("key-store-write-failed") from error
