"""Epochs: the secrets that make older copies of the key file worthless, and the two slots on disk that hold them.

A slot is a file of 4096 bytes, made once and then overwritten in place, never renamed:

    "kura-epoch-slot1" || epoch number (uint64 big endian) || secret[32] || zeros || SHA-256 of all before it

A dead slot is zeros throughout. Anything else is damaged: cut while being written, or rotten. The slots lie outside
the vault's folder and outside backups. 4096 bytes, because some file systems keep smaller files among their own
records, of which they keep copies.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from vault.errors import ConflictError, IntegrityError
from vault.keys.durable_file import create_file, make_folder, overwrite_file
from vault.keys.wiping import wipe

SECRET_BYTES = 32
SLOT_BYTES = 4096
_MAGIC = b"kura-epoch-slot1"
_NUMBER_END = len(_MAGIC) + 8
_DIGEST_START = SLOT_BYTES - 32


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: its number, from 1 upwards, and its secret of 32 random bytes."""

    number: int
    secret: bytearray = field(repr=False)

    def encode(self) -> bytearray:
        """Give the bytes of a slot that holds this epoch."""
        slot = bytearray(_MAGIC + self.number.to_bytes(8, "big")) + self.secret
        slot += bytes(_DIGEST_START - len(slot))
        return slot + hashlib.sha256(slot).digest()


def parse_slot(slot: bytearray) -> Epoch | None:
    """Give the epoch that a slot's bytes hold, or None if the slot is dead.

    Raises:
        IntegrityError: `epoch-slot-damaged`.
    """
    if len(slot) == SLOT_BYTES and not any(slot):
        return None
    digest = hashlib.sha256(memoryview(slot)[:_DIGEST_START]).digest()
    if not slot.startswith(_MAGIC) or slot[_DIGEST_START:] != digest:
        raise IntegrityError("epoch-slot-damaged")
    number = int.from_bytes(slot[len(_MAGIC) : _NUMBER_END], "big")
    return Epoch(number, slot[_NUMBER_END : _NUMBER_END + SECRET_BYTES])


@dataclass(frozen=True, slots=True)
class Slots:
    """Both slots as they lie on disk at one moment, each 4096 bytes unless damaged."""

    contents: tuple[bytearray, bytearray] = field(repr=False)

    def find(self, number: int) -> tuple[int, Epoch]:
        """Give the slot (0 or 1) that holds the epoch of that number, and the epoch.

        Raises:
            IntegrityError: `epoch-slot-damaged`: neither does, and one is damaged; `key-file-outdated`: neither does,
                and both are well, so that whoever names this epoch is an older copy.
        """
        damaged = False
        for index in (0, 1):
            try:
                epoch = parse_slot(self.contents[index])
            except IntegrityError:
                damaged = True
                continue
            if epoch and epoch.number == number:
                return index, epoch
        raise IntegrityError("epoch-slot-damaged" if damaged else "key-file-outdated")

    def is_dead(self, index: int) -> bool:
        """Whether a slot is zeros throughout, and whole."""
        return len(self.contents[index]) == SLOT_BYTES and not any(self.contents[index])

    def wipe(self) -> None:
        """Overwrite the contents in memory."""
        wipe(*self.contents)


class SlotFiles:
    """The two files that hold the slots. Not locked: one process writes, and hands over to one thread at a time."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is read yet."""
        self._folder = folder
        self._paths = (folder / "epoch-0", folder / "epoch-1")

    def create(self, first: Epoch) -> None:
        """Make both slots, durably, the first epoch in slot 0.

        Raises:
            ConflictError: `epoch-slots-exist`: they may belong to a key store that is to be restored.
        """
        if any(path.exists() for path in self._paths):
            raise ConflictError("epoch-slots-exist")
        make_folder(self._folder)
        slot = first.encode()
        create_file(self._paths[0], slot)
        wipe(slot)
        create_file(self._paths[1], bytes(SLOT_BYTES))

    def read(self) -> Slots:
        """Read both slots.

        Raises:
            OSError: a slot is missing or cannot be read.
        """
        return Slots((_read_slot(self._paths[0]), _read_slot(self._paths[1])))

    def write(self, index: int, epoch: Epoch) -> None:
        """Overwrite a slot in place with an epoch, durably."""
        slot = epoch.encode()
        overwrite_file(self._paths[index], slot)
        wipe(slot)

    def take(self, epoch: Epoch) -> int:
        """Write an epoch where it does no harm to one that is in use, and give the slot; missing slots are made."""
        make_folder(self._folder)
        for path in self._paths:
            if not path.exists():
                create_file(path, bytes(SLOT_BYTES))
        slots = self.read()
        held = [bytes(content) == bytes(epoch.encode()) for content in slots.contents]
        index = held.index(True) if any(held) else int(not slots.is_dead(0) and slots.is_dead(1))
        slots.wipe()
        if not any(held):
            self.write(index, epoch)
        return index

    def kill(self, index: int) -> None:
        """Overwrite a slot in place with zeros, durably."""
        overwrite_file(self._paths[index], bytes(SLOT_BYTES))


def _read_slot(path: Path) -> bytearray:
    """Read a slot, and one byte more if there is one, into memory that can be wiped."""
    buffer = bytearray(SLOT_BYTES + 1)
    with path.open("rb", buffering=0) as file:
        length = file.readinto(buffer)
    del buffer[length:]
    return buffer
