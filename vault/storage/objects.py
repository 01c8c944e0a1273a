"""The object store's protocol: write-once storage of sealed objects under random names.

Holds no adapter: `filesystem` and `s3` are two. An object is reached by its address: in a folder its name, in an engine
its name and the version that the engine gave, without which whoever may write there could lay another version over it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from vault.errors import KuraError

NAME_LENGTH = 32
_MARK_LENGTH = 8

LAST_LOCK = datetime(2106, 2, 7, tzinfo=UTC)
"""No store is asked for a later lock: some engines count seconds in 32 bits, would take it, and protect nothing."""


def object_name(vault_id: str, random_hex: str) -> str:
    """Make a name (32 lowercase hex digits) that this vault, and no other program, would give.

    The last eight digits are a mark over the first 24 and the vault's id: a sweep of orphans touches no file whose
    name does not carry it. It is a mark of origin, not a secret.
    """
    mark = hashlib.sha256(f"kura/object-name/v1\n{vault_id}\n{random_hex}".encode()).hexdigest()
    return random_hex + mark[:_MARK_LENGTH]


def is_object_name(vault_id: str, name: str) -> bool:
    """Tell whether `name` is one that `object_name` gives for this vault."""
    return len(name) == NAME_LENGTH and object_name(vault_id, name[:-_MARK_LENGTH]) == name


@dataclass(frozen=True, slots=True)
class Address:
    """Where one copy of an object stands in its store."""

    name: str
    version: str | None = None  # the engine's version id; None in a folder


@dataclass(frozen=True, slots=True)
class Facts:
    """What a store says of an object that stands there."""

    address: Address
    size: int  # bytes
    locked_until: datetime | None = None  # nobody's credentials delete it before; None: it is not locked
    is_held: bool = False  # by a legal hold, whatever the date


class Listed(NamedTuple):
    """What a store's list says of one file, or of one version."""

    address: Address
    written_at: datetime
    is_ended: bool = True  # its upload has ended
    is_marker: bool = False  # no bytes: an engine's note that the object is to be taken for deleted
    tag: str = ""  # of an engine: the same for the same bytes


class Upload(Protocol):
    """One object being written; kept by `ObjectStore.keep`, or dropped."""

    def write(self, data: memoryview | bytes) -> None:
        """Append sealed bytes."""

    def finish(self) -> None:
        """Say that all bytes are written, so that the store can begin to make them durable."""

    def abort(self) -> None:
        """Drop what was written; never raises."""


class ObjectReader(Protocol):
    """One stored object, open for reading at any offset. Safe to use from one thread at a time."""

    size: int

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset`; IntegrityError where the object is shorter."""

    def close(self) -> None:
        """Release it."""


class ObjectStore(Protocol):
    """Write-once storage of sealed objects, by address.

    Not trusted: whoever controls the store can lose an object, but not alter one unnoticed, because readers
    authenticate what they read. Safe to call from several threads. A name is given to one object only (names are random
    and fresh); what stands at an address never changes. UnavailableError says that a later try may succeed.

    Attributes:
        label: what the store is called in errors and notes.
        locks: whether what it keeps stands locked for a time, although no row names it: then nothing is kept there
            that may still be refused.
        max_bytes: the largest object that it takes; None where it has no limit.
    """

    label: str
    locks: bool
    max_bytes: int | None

    def require_there(self) -> None:
        """Look whether the store answers and is what it must be.

        Raises:
            UnavailableError: it is away.
            RefusedError: it is there, but not fit to hold anything.
        """

    def require_on_premises(self) -> None:
        """RefusedError("store-not-private") where bytes given to it may leave the operator's own network."""

    def probe(self) -> bool:
        """Try on scratch objects whether the store keeps its promises; give whether all of them could be tried.

        Raises:
            IntegrityError: it does not.
            UnavailableError, RefusedError: as `require_there`.
        """

    def new_name(self) -> str:
        """Give a fresh random name that this vault will recognize as its own."""

    def upload(self, name: str) -> Upload:
        """Begin an object. Nothing is visible under `name` before `keep`."""

    def keep(self, uploads: Sequence[Upload]) -> list[Facts | KuraError]:
        """Make finished uploads of this store durable, together: that costs less than one by one.

        For each in order: what stands there now; or UnavailableError, and then it may or may not stand there.
        """

    def open(self, address: Address) -> ObjectReader:
        """Open an object; NotFoundError("object-missing") where it is not there."""

    def stat(self, address: Address) -> Facts:
        """Say what stands at an address; errors as `open`."""

    def lock(self, address: Address, until: datetime) -> datetime:
        """Lock an object at least until an instant; give until when it is locked now. Harmless to repeat.

        Raises:
            RefusedError: the store cannot lock, or not so long.
            NotFoundError: it is not there.
        """

    def hold(self, address: Address, *, on: bool) -> None:
        """Set or lift the legal hold of an object, which stands beside its lock; errors as `lock`. May be repeated."""

    def delete(self, address: Address) -> None:
        """Remove what stands at an address; harmless where nothing does.

        Raises:
            ConflictError: it is locked or held.
        """

    def erase(self, name: str) -> None:
        """Remove every version under a name, and look that none is left; harmless to repeat. Errors as `delete`."""

    def listed(self) -> Iterator[Listed]:
        """List what is stored, in no order; foreign names are listed too."""
