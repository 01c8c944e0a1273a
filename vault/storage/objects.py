"""The object store's protocol: write-once storage of sealed objects under random names.

Holds no adapter; `filesystem` is one.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

NAME_LENGTH = 32
_MARK_LENGTH = 8


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
    """Write-once storage of sealed objects, by name.

    Not trusted: whoever controls the store can lose an object, but not alter one unnoticed, because readers
    authenticate what they read. Safe to call from several threads. Repeating an upload under a used name is refused
    (names are random and fresh). Nothing is retried here; UnavailableError says that a later try may succeed.
    """

    label: str

    def new_name(self) -> str:
        """Give a fresh random name that this vault will recognize as its own."""

    def upload(self, name: str) -> Upload:
        """Begin an object. Nothing is visible under `name` before `keep`."""

    def keep(self, uploads: Sequence[Upload]) -> None:
        """Make finished uploads of this store durable under their names, together: that costs less than one by one.

        After UnavailableError each of them may or may not have been kept.
        """

    def open(self, name: str) -> ObjectReader:
        """Open an object; NotFoundError("object-missing") where it is not there."""

    def delete(self, name: str) -> None:
        """Remove an object; harmless where it is not there."""

    def names(self) -> Iterator[tuple[str, datetime, bool]]:
        """List (name, when last written, whether its upload had ended), in no order; foreign names are listed too."""
