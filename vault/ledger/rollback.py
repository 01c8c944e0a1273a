"""A ledger never goes back: comparing each open ledger with the newest checkpoints known outside the database."""

from collections.abc import Iterable
from pathlib import Path

from vault.errors import IntegrityError
from vault.ledger.checkpoint import Checkpoint, open_checkpoint
from vault.ledger.guard import Guard
from vault.ledger.log import Log


def newest_known(log: Log, guard: Guard, published: Path) -> list[Checkpoint]:
    """Give what is known of a ledger outside the database: the guard's and the published checkpoint.

    Raises:
        IntegrityError: the guard is missing or damaged, or the published checkpoint is not this ledger's.
    """
    return _and_published(guard.newest(log.id, log.key), log, published)


def known_despite_torn_slot(log: Log, guard: Guard, published: Path) -> list[Checkpoint]:
    """As `newest_known`, of a guard with a slot that a power cut tore: what the other slot says still counts.

    Raises:
        IntegrityError: both slots are damaged, or as `newest_known`.
    """
    _, survivor = guard.survivor(log.id, log.key)
    # The very first write may be cut, but nothing is published before it has been made.
    if survivor is None and published.is_file():
        raise IntegrityError("guard-damaged", ledger=log.id)
    return _and_published(survivor, log, published)


def require_not_behind(log: Log, known: Iterable[Checkpoint]) -> None:
    """Check that a ledger continues every checkpoint known of it.

    Raises:
        IntegrityError: it is behind or beside one: an older or another database was put back.
    """
    for checkpoint in known:
        if checkpoint.size > log.size:
            raise IntegrityError("ledger-went-back", ledger=log.id, size=log.size, known=checkpoint.size)
        if log.root_at(checkpoint.size) != checkpoint.root:
            raise IntegrityError("ledger-beside", ledger=log.id, known=checkpoint.size)


def _and_published(guarded: Checkpoint | None, log: Log, published: Path) -> list[Checkpoint]:
    known = [guarded] if guarded is not None else []
    if published.is_file():
        known.append(open_checkpoint(published.read_bytes(), log.key))
    return known
