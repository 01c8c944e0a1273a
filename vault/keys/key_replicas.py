"""One sealed key file on one disk or two, each with its own epoch slots: written in one order, read from the newer one.

All replicas are the same bytes under the same epoch secret. Invariants beside those of `key_disk.py`:
1. A key is durable in every replica that is there before anybody knows its id.
2. A new epoch begins in all or in none: the new secret into the free slots, the key files, the old slots killed. While
   a replica is away no epoch ends: its slot would open older copies.
3. A replica that is behind is brought up from the newest, never the other way, and only when custodians have opened
   the store: the newest must know every key that the older one has, as a key or as a tombstone.

After a crash every replica first finishes its own run (`KeyDisk.finish_cut_run`); then the newest decides for all.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from vault.errors import IntegrityError, KuraError, UnavailableError
from vault.keys.epoch import Epoch
from vault.keys.key_disk import KeyDisk, StoredKeys
from vault.keys.key_parts import OpeningPart
from vault.keys.wiping import wipe


class KeyReplicas:
    """The replicas of one key store, the first disk's first. Not locked: its owner lets one thread in at a time.

    Attributes:
        behind: positions of the replicas that were away, unreadable or older when all were read the last time.
    """

    def __init__(self, places: Sequence[tuple[Path, Path]]) -> None:
        """Name key file and slots' folder of each replica; nothing is read yet."""
        self._disks = [KeyDisk(path, epoch_dir) for path, epoch_dir in places]
        self._found: dict[int, StoredKeys] = {}
        self.behind: frozenset[int] = frozenset()

    def create(self, first: Epoch, data: bytes) -> None:
        """Make every replica; errors as `KeyDisk.create`."""
        for disk in self._disks:
            disk.create(first, data)

    @contextmanager
    def reading(self) -> Iterator[StoredKeys]:
        """Lend what the newest replica holds; the secrets are wiped afterwards. Changes nothing on disk.

        Raises:
            IntegrityError: `key-replicas-differ`: two of the same number are not the same.
            KuraError: none can be read; the first one's error, as of `KeyDisk.reading`.
        """
        with ExitStack() as stack:
            found: dict[int, StoredKeys] = {}
            errors: list[KuraError] = []
            for position, disk in enumerate(self._disks):
                try:
                    found[position] = stack.enter_context(disk.reading())
                except KuraError as error:
                    errors.append(error)
            if not found:
                raise errors[0]
            newest = max(found.values(), key=_age)
            current = {position for position, stored in found.items() if _age(stored) == _age(newest)}
            if any(found[position].file != newest.file for position in current):
                raise IntegrityError("key-replicas-differ")
            self._found, self.behind = found, frozenset(range(len(self._disks))) - current
            yield newest

    def require_all(self) -> None:
        """Check that no replica is away or behind.

        Raises:
            UnavailableError: `key-replica-away`.
        """
        if self.behind:
            raise UnavailableError("key-replica-away")

    def finish_cut_run(self) -> bool:
        """While `reading`: bring every replica's cut run to its end, each for itself, and say whether there was one."""
        cut = [self._disks[position].finish_cut_run(stored) for position, stored in self._found.items()]
        return any(cut)

    def bring_up(self, newest: StoredKeys, opening: OpeningPart, custodian: bytearray) -> None:
        """While `reading`: make every replica that is there what the newest is; one that fails stays behind.

        Args:
            newest: what `reading` lends.
            opening: its opening part.
            custodian: what opens it.

        Raises:
            IntegrityError: `key-replicas-differ`: a replica has a key that the newest knows nothing of.
        """
        known = opening.disposal_keys.keys() | opening.tombstones.keys()
        for position in sorted(self.behind):
            if position in self._found and not _key_ids(self._found[position], custodian) <= known:
                raise IntegrityError("key-replicas-differ")
            if not self._disks[position].is_there:
                continue
            with suppress(UnavailableError):
                self._disks[position].become(newest.epoch, newest.file.encode())
                self.behind -= {position}

    def rewrite(self, data: bytes) -> None:
        """Write every replica that was not behind anew, under the epoch it has; one that fails is behind.

        Raises:
            UnavailableError: `key-store-write-failed`: none was written.
        """
        failures: list[UnavailableError] = []
        present = [position for position in range(len(self._disks)) if position not in self.behind]
        for position in present:
            # A crash here: this replica and those after it are behind, and are brought up at the next opening.
            try:
                self._disks[position].rewrite(data)
            except UnavailableError as error:
                self.behind |= {position}
                failures.append(error)
        if len(failures) == len(present):
            raise failures[0]

    def rewrite_under(self, epoch: Epoch, data: bytes) -> None:
        """Write every replica anew under a new epoch, and make every older copy of any of them worthless.

        After `reading`, and `require_all`.

        Raises:
            UnavailableError: `key-store-write-failed`.
        """
        old_slots = {position: stored.slot for position, stored in self._found.items()}
        for position, slot in old_slots.items():
            self._disks[position].begin_epoch(epoch, slot)
        # A crash up to here, or during it: every key file names the old epoch. Opening zeroes the new slots; nothing
        # was destroyed.
        for position in old_slots:
            self._disks[position].rewrite(data)
            # A crash here: this replica names the new epoch, and is the newest. Opening zeroes its old slot and, when
            # the custodians have come, brings up those that name the old one: the run is finished.
        for position, slot in old_slots.items():
            self._disks[position].end_epoch(slot)
        # From here on the old epoch's secret exists nowhere, and so no older key file opens.


def _age(stored: StoredKeys) -> tuple[int, int]:
    header = stored.file.header
    return header.epoch, header.generation


def _key_ids(stored: StoredKeys, custodian: bytearray) -> set[str]:
    """Give the ids of a replica's keys, alive or destroyed; none where it was sealed for other custodians."""
    try:
        stored.file.header.require(custodian)
    except KuraError:
        return set()  # the custodians were replaced since, in all replicas that were there: a new epoch began
    part = stored.file.open_opening(custodian, stored.epoch.secret)
    ids = part.disposal_keys.keys() | part.tombstones.keys()
    wipe(*part.disposal_keys.values())
    return ids
