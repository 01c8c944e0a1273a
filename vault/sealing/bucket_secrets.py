"""The secret halves of buckets, unwrapped as they are needed and kept for a minute at most."""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select

from vault.keys.keystore import KeyStore
from vault.sealing.bucket import OpenBucket, open_bucket
from vault.storage.tables import BucketRow

BUCKET_COLUMNS = tuple(column.key for column in BucketRow.__mapper__.column_attrs)
_BUCKETS = select(*(getattr(BucketRow, name) for name in BUCKET_COLUMNS)).where(
    BucketRow.id.in_(bindparam("ids", expanding=True))
)
_OPEN_FOR = timedelta(minutes=1)  # design, section 5: unwrapped keys are cached for a minute at most


class BucketSecrets:
    """Opens buckets for readers, searchers and verifiers. Safe to use from several threads."""

    def __init__(self, keys: KeyStore, clock: Callable[[], datetime]) -> None:
        """Begin with nothing open."""
        self._keys = keys
        self._clock = clock
        self._open: dict[str, tuple[datetime, OpenBucket]] = {}
        self._rows: dict[str, BucketRow] = {}
        self._lock = threading.Lock()

    def opened(self, row: BucketRow) -> OpenBucket:
        """Give a bucket's secret halves.

        Raises:
            SealedError: the vault is sealed.
            IntegrityError: what is unwrapped does not belong to the public half.
        """
        now = self._clock()
        with self._lock:
            found = self._open.get(row.id)
            if found is not None and not self._keys.is_sealed and now - found[0] < _OPEN_FOR:
                return found[1]
            opened = open_bucket(row, self._keys)
            self._open[row.id] = now, opened
            return opened

    def rows(self, connection: Connection, bucket_ids: Iterable[str]) -> Mapping[str, BucketRow]:
        """Give bucket rows by id, each read once: what opening needs of them never changes, only their state does."""
        wanted = set(bucket_ids)
        missing = wanted - self._rows.keys()
        if missing:
            self._rows.update(bucket_rows(connection, missing))
        return {bucket_id: self._rows[bucket_id] for bucket_id in wanted & self._rows.keys()}

    def forget(self) -> None:
        """Drop every secret half: the vault is being sealed."""
        with self._lock:
            self._open.clear()


def bucket_rows(connection: Connection, bucket_ids: Iterable[str]) -> Mapping[str, BucketRow]:
    """Read bucket rows by id."""
    return {row["id"]: BucketRow(**row) for row in connection.execute(_BUCKETS, {"ids": list(bucket_ids)}).mappings()}
