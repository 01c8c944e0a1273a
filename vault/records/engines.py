"""Which engines a vault lacks at the moment: its database, an object store, its keys. Looks, and changes nothing."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from vault.records.ground import Ground
from vault.storage.tables import LedgerRow

DATABASE, KEYS = "database", "keys"


def missing_engines(ground: Ground) -> tuple[str, ...]:
    """Name each engine that does not answer: "database", "store 1", "store 2", "keys".

    Takes as long as the slowest may take to say nothing: all are asked at once.
    """
    looks = list(_looks(ground))
    with ThreadPoolExecutor(len(looks)) as pool:
        answers = list(pool.map(_answers, (look for _, look in looks)))
    return tuple(name for (name, _), is_there in zip(looks, answers, strict=True) if not is_there)


def _looks(ground: Ground) -> Iterator[tuple[str, Callable[[], object]]]:
    yield DATABASE, lambda: _read(ground)
    for number, store in enumerate(ground.stores, 1):
        yield f"store {number}", store.require_there
    yield KEYS, ground.keys.signing_key_ids


def _read(ground: Ground) -> None:
    with ground.engine.connect() as connection:
        connection.execute(select(LedgerRow.id).limit(1)).all()


def _answers(look: Callable[[], object]) -> bool:
    try:
        look()
    except Exception:  # noqa: BLE001 - whatever keeps it from answering, it does not
        return False
    return True
