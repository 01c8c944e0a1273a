"""Index tokens for what was taken while the vault was sealed: made when it is opened."""

from typing import Any

from sqlalchemy import insert, select, update

from vault.ledger.transaction import Transaction
from vault.records.buckets import Buckets
from vault.records.ground import Ground
from vault.records.opening import opener_for, read_records
from vault.sealing.index_token import SUBJECT_KEY, index_token
from vault.storage.tables import IndexTokenRow, RecordRow

_RECORDS_PER_COMMIT = 500


def index_pending(ground: Ground, buckets: Buckets) -> int:
    """Make the missing tokens, some hundreds per commit; give the number of records. Harmless to repeat."""
    count = 0
    while ids := _pending(ground):
        tokens: list[dict[str, Any]] = []
        with ground.engine.connect() as connection:
            records = read_records(connection, ids)
            opener = opener_for(connection, buckets.secrets, records.values())
        for record in records.values():
            subject_key = opener.open(record).metadata.fields.get(SUBJECT_KEY)
            if subject_key is not None:
                index_key = buckets.secrets.opened(opener.bucket(record)).index_key
                token = index_token(index_key, SUBJECT_KEY, subject_key)
                tokens.append({"token": token, "record_id": record.values["id"]})

        def change(transaction: Transaction, tokens: list[dict[str, Any]] = tokens, ids: list[str] = ids) -> None:
            # Another process may be at it: what it has done is not pending any more when the lock is had.
            left = select(RecordRow.id).where(RecordRow.id.in_(ids), RecordRow.is_indexed.is_(False))
            pending = set(transaction.connection.scalars(left.order_by(RecordRow.id).with_for_update()))
            if mine := [token for token in tokens if token["record_id"] in pending]:
                transaction.connection.execute(insert(IndexTokenRow), mine)
            transaction.connection.execute(update(RecordRow).where(RecordRow.id.in_(ids)).values(is_indexed=True))

        ground.sequencer.run(change)
        count += len(ids)
    return count


def _pending(ground: Ground) -> list[str]:
    with ground.engine.connect() as connection:
        query = select(RecordRow.id).where(RecordRow.is_indexed.is_(False)).order_by(RecordRow.id)
        return list(connection.scalars(query.limit(_RECORDS_PER_COMMIT)))
