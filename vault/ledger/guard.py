"""The rollback guard: the newest signed checkpoint of each ledger, kept outside the database and outside the folder.

One file per ledger with two fixed slots, overwritten in place in turn and synced, before anybody is told of the
entries it covers. Yesterday's database put back is behind it, and shows. A slot is the note, zeros after it; an
unused slot is all zeros.
"""

import os
from contextlib import suppress
from pathlib import Path

from vault.errors import IntegrityError
from vault.ledger.checkpoint import Checkpoint, open_checkpoint
from vault.ledger.note import VerifierKey

_SLOT_BYTES = 2048


class Guard:
    """The guard files in a folder outside the vault (beside the epoch slots)."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`; files are opened as they are needed."""
        self._folder = folder
        self._open: dict[str, tuple[int, int]] = {}  # ledger -> (file, slot to write next)

    def create(self, ledger_id: str) -> None:
        """Make the file of a new ledger at full size, so that later writes change no metadata.

        Raises:
            IntegrityError: the file exists and holds checkpoints.
        """
        path = self._path(ledger_id)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # What a cut attempt left is empty; a file with checkpoints belongs to another vault or ledger.
        if os.pread(fd, 2 * _SLOT_BYTES, 0).strip(b"\0"):
            os.close(fd)
            raise IntegrityError("guard-in-use", ledger=ledger_id)
        os.pwrite(fd, bytes(2 * _SLOT_BYTES), 0)
        os.fsync(fd)
        self._open[ledger_id] = fd, 0
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)

    def has(self, ledger_id: str) -> bool:
        """Whether the file of a ledger is there."""
        return self._path(ledger_id).exists()

    def store(self, ledger_id: str, note: str) -> None:
        """Keep `note` as the newest checkpoint: durable on return. The older slot is overwritten."""
        fd, slot = self._open.get(ledger_id) or self._continue(ledger_id)
        data = note.encode().ljust(_SLOT_BYTES, b"\0")
        if os.pwrite(fd, data, slot * _SLOT_BYTES) != _SLOT_BYTES:
            raise OSError("short write")
        os.fdatasync(fd)
        self._open[ledger_id] = fd, 1 - slot

    def slots(self, ledger_id: str, key: VerifierKey) -> list[Checkpoint | None]:
        """Read both slots: a checkpoint, or None for one never used.

        Raises:
            IntegrityError: the file is missing, or a slot is neither a checkpoint of this ledger nor empty.
        """
        try:
            data = self._path(ledger_id).read_bytes()
        except OSError as error:
            raise IntegrityError("guard-missing", ledger=ledger_id) from error
        if len(data) != 2 * _SLOT_BYTES:
            raise IntegrityError("guard-damaged", ledger=ledger_id)
        return [_read_slot(data[i * _SLOT_BYTES :][:_SLOT_BYTES], ledger_id, key) for i in range(2)]

    def newest(self, ledger_id: str, key: VerifierKey) -> Checkpoint | None:
        """The newest checkpoint that was kept, or None for a ledger that has none yet; errors as `slots`."""
        kept = [checkpoint for checkpoint in self.slots(ledger_id, key) if checkpoint is not None]
        return max(kept, key=lambda checkpoint: checkpoint.size, default=None)

    def survivor(self, ledger_id: str, key: VerifierKey) -> tuple[int, Checkpoint | None]:
        """Give the whole slot of a guard whose other slot a power cut tore, and the checkpoint it holds, if any.

        Raises:
            IntegrityError: both are damaged, or the file is missing.
        """
        data = self._path(ledger_id).read_bytes() if self._path(ledger_id).is_file() else b""
        if len(data) != 2 * _SLOT_BYTES:
            raise IntegrityError("guard-missing", ledger=ledger_id)
        for slot in range(2):
            with suppress(IntegrityError):
                return slot, _read_slot(data[slot * _SLOT_BYTES :][:_SLOT_BYTES], ledger_id, key)
        raise IntegrityError("guard-damaged", ledger=ledger_id)

    def mend(self, ledger_id: str, key: VerifierKey, note: str) -> None:
        """Write `note` over a torn slot; whether the ledger continues the survivor is the caller's to check before.

        Raises:
            IntegrityError: both are damaged, or the file is missing.
        """
        whole, _ = self.survivor(ledger_id, key)
        self._open[ledger_id] = os.open(self._path(ledger_id), os.O_RDWR | os.O_CLOEXEC), 1 - whole
        self.store(ledger_id, note)

    def close(self) -> None:
        """Close the files."""
        for fd, _ in self._open.values():
            os.close(fd)
        self._open.clear()

    def _continue(self, ledger_id: str) -> tuple[int, int]:
        fd = os.open(self._path(ledger_id), os.O_RDWR | os.O_CLOEXEC)
        # Either slot may be the newer one; after a start the second write settles it, and the older is never trusted.
        sizes = [_claimed_size(os.pread(fd, _SLOT_BYTES, slot * _SLOT_BYTES)) for slot in range(2)]
        return fd, 0 if sizes[0] <= sizes[1] else 1

    def _path(self, ledger_id: str) -> Path:
        return self._folder / f"guard-{ledger_id}"


def _read_slot(slot: bytes, ledger_id: str, key: VerifierKey) -> Checkpoint | None:
    if not slot.strip(b"\0"):
        return None
    text = slot.rstrip(b"\0")
    try:
        return open_checkpoint(text.decode(), key)
    except (IntegrityError, UnicodeDecodeError) as error:
        raise IntegrityError("guard-damaged", ledger=ledger_id) from error


def _claimed_size(slot: bytes) -> int:
    lines = slot.split(b"\n", 2)
    return int(lines[1]) if len(lines) > 1 and lines[1].isdigit() else -1
