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
    known = [guard.newest(log.id, log.key)]
    if published.is_file():
        known.append(open_checkpoint(published.read_bytes(), log.key))
    return [checkpoint for checkpoint in known if checkpoint is not None]


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
