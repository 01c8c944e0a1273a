"""Where the copies of an object stand, by its row and by the rows of `copies`.

In a folder a copy that stands where its class has it needs no row: its name is its address. A row is written for every
copy in an engine (its version is part of the address), for a copy that is owed because a store was away, and for one
that stands in a folder where no copy is expected, because the store meant for it was away.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vault.storage.objects import Address, ObjectStore

KEPT, OWED = "kept", "owed"
MOST_COPIES = 2  # as many as there may be stores; a row that says more was altered, and is found by its event

CopyValues = tuple[int, str, str | None]
"""Store, state and version of a row of `copies`."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One copy that stands."""

    store: int  # its place among the settings' stores
    address: Address


def placed(name: str, copies: int, rows: Iterable[CopyValues]) -> list[Placed]:
    """Say where copies of an object stand, by store.

    Args:
        name: the object.
        copies: how many it is to have: the first so many stores are meant for them.
        rows: what `copies` has of it.
    """
    states = dict.fromkeys(range(min(copies, MOST_COPIES)), (KEPT, None)) | {store: rest for store, *rest in rows}
    return [
        Placed(store, Address(name, version)) for store, (state, version) in sorted(states.items()) if state == KEPT
    ]


def standing(copies: Sequence[Placed], stores: Sequence[ObjectStore]) -> list[tuple[ObjectStore, Address]]:
    """Pair copies with their stores; a store that the settings do not name any more is left out."""
    return [(stores[copy.store], copy.address) for copy in copies if copy.store < len(stores)]
