"""Making copies that are owed: copied as they are, sealed, from a store that has them whole; sealed vaults heal too.

Order of writes: the copy, durable in its store; then its row. A crash between leaves a copy that the next round finds
in a folder, and in an engine a version that the sweep removes when its lock has lapsed.
"""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from blake3 import blake3
from sqlalchemy import Row, delete, func, select, update

from vault.errors import IntegrityError, KuraError, NotFoundError, UnavailableError
from vault.ledger.transaction import Transaction
from vault.records.ground import Ground
from vault.records.locking import wanted_lock
from vault.records.placement import KEPT, OWED, placed, standing
from vault.service_log import service_log
from vault.storage.objects import Address, Facts, ObjectReader, ObjectStore, Upload
from vault.storage.tables import BucketRow, CopyRow, EnvelopeRow, ObjectRow, RecordRow

_CHUNK_BYTES = 1 << 20
_PER_ROUND = 64


def owed_count(ground: Ground) -> int:
    """Count the copies that are still to be made."""
    with ground.engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(CopyRow).where(CopyRow.state == OWED)) or 0


def heal_copies(ground: Ground, is_over: Callable[[], bool] = lambda: False) -> int:
    """Make the oldest of what is owed, some in every store that is there; give how many copies were made.

    Args:
        ground: the vault's.
        is_over: asked before each copy; once it says yes the rest waits on.
    """
    return sum(_heal_store(ground, place, store, is_over) for place, store in enumerate(ground.stores))


def _heal_store(ground: Ground, place: int, store: ObjectStore, is_over: Callable[[], bool]) -> int:
    healed, rows = 0, _owed(ground, place)
    if rows:
        try:
            store.require_there()
        except KuraError:
            return 0
    for row in rows:
        if is_over():
            break
        try:
            _heal(ground, place, store, row)
        except KuraError as error:
            service_log().warning("copy-not-healed", object=row.name, store=place, code=error.code)
            break
        healed += 1
    return healed


def _owed(ground: Ground, place: int) -> list[Row[Any]]:
    query = (
        select(ObjectRow.name, ObjectRow.copies, ObjectRow.sealed_bytes, ObjectRow.sealed_blake3, BucketRow.scope)
        .join(CopyRow, CopyRow.object_name == ObjectRow.name)
        .join(RecordRow, RecordRow.id == ObjectRow.record_id)
        .join(EnvelopeRow, EnvelopeRow.id == RecordRow.envelope_id)
        .join(BucketRow, BucketRow.id == EnvelopeRow.bucket_id)
        .where(CopyRow.state == OWED, CopyRow.store == place)
        .order_by(CopyRow.written_at)
        .limit(_PER_ROUND)
    )
    with ground.engine.connect() as connection:
        return list(connection.execute(query))


def _heal(ground: Ground, place: int, store: ObjectStore, row: Row[Any]) -> None:
    """Make one copy and note it."""
    if not store.locks and _stands(store, row):
        return _note(ground, place, Facts(Address(row.name), row.sealed_bytes), row)
    with ground.engine.connect() as connection:
        query = select(CopyRow.store, CopyRow.state, CopyRow.version).where(CopyRow.object_name == row.name)
        rows = [(found.store, found.state, found.version) for found in connection.execute(query)]
    failed: KuraError = NotFoundError("object-missing", name=row.name, store="*")
    for source, address in standing(placed(row.name, row.copies, rows), ground.stores):
        try:
            with closing(source.open(address)) as reader:
                return _note(ground, place, _copy(reader, store, row), row)
        except (IntegrityError, NotFoundError, UnavailableError) as error:
            failed = error
    raise failed


def _copy(reader: ObjectReader, store: ObjectStore, row: Row[Any]) -> Facts:
    upload = store.upload(row.name)
    try:
        _require_whole(reader, row, upload)
        upload.finish()
        [outcome] = store.keep([upload])
    except BaseException:
        upload.abort()
        raise
    if isinstance(outcome, KuraError):
        raise outcome
    return outcome


def _stands(store: ObjectStore, row: Row[Any]) -> bool:
    """Whether a round that was cut made the copy already; what is not whole goes."""
    try:
        with closing(store.open(Address(row.name))) as reader:
            _require_whole(reader, row)
    except (NotFoundError, IntegrityError):
        store.delete(Address(row.name))  # what is not whole, or the part of an upload that was cut
        return False
    return True


def _require_whole(reader: ObjectReader, row: Row[Any], upload: Upload | None = None) -> None:
    """Read an object to its end, and compare it with what was sealed; on the way, write it into an upload."""
    digest, buffer = blake3(), memoryview(bytearray(_CHUNK_BYTES))
    for offset in range(0, reader.size, _CHUNK_BYTES):
        part = buffer[: min(_CHUNK_BYTES, reader.size - offset)]
        reader.read_into(offset, part)
        digest.update(part)
        if upload is not None:
            upload.write(part)
    if (reader.size, digest.digest()) != (row.sealed_bytes, row.sealed_blake3):
        raise IntegrityError("object-altered", segment=0)


def _note(ground: Ground, place: int, facts: Facts, row: Row[Any]) -> None:
    this = (CopyRow.object_name == row.name) & (CopyRow.store == place)

    def change(transaction: Transaction) -> None:
        if facts.address.version is None:  # in place, and so without a row
            transaction.connection.execute(delete(CopyRow).where(this))
            return
        now = ground.clock()
        values = {
            "state": KEPT,
            "version": facts.address.version,
            "written_at": now,
            "locked_until": facts.locked_until,
            "lock_wanted": wanted_lock(row.scope, now),
        }
        transaction.connection.execute(update(CopyRow).where(this).values(values))

    ground.sequencer.run(change)
