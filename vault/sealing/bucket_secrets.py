"""What opens records – buckets and envelopes – unwrapped as it is needed and kept for a minute at most."""

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import Connection, bindparam, select

from vault.errors import KuraError
from vault.keys.keystore import KeyStore
from vault.sealing.bucket import OpenBucket, open_bucket
from vault.sealing.envelope import Envelope
from vault.storage.statement import Statement
from vault.storage.tables import BucketRow

T = TypeVar("T")
BUCKET_COLUMNS = tuple(column.key for column in BucketRow.__mapper__.column_attrs)
_BUCKET = Statement(
    select(*(getattr(BucketRow, name) for name in BUCKET_COLUMNS)).where(BucketRow.id == bindparam("bucket"))
)
_OPEN_FOR = timedelta(minutes=1)  # design, section 5: unwrapped keys are cached for a minute at most
_ENVELOPES = 1024  # kept at most; each serves the records of one commit

_Kept = dict[Hashable, tuple[datetime, T]]  # when it was opened; the oldest stands first


class BucketSecrets:
    """Opens buckets for readers, searchers and verifiers. Safe to use from several threads."""

    def __init__(self, keys: KeyStore, clock: Callable[[], datetime]) -> None:
        """Begin with nothing open."""
        self._keys = keys
        self._clock = clock
        self._buckets: _Kept[OpenBucket] = {}
        self._envelopes: _Kept[Envelope] = {}
        self._rows: dict[str, BucketRow] = {}
        self._lock = threading.Lock()  # held while something is opened: `forget` must not come in between

    def opened(self, row: BucketRow) -> OpenBucket:
        """Give a bucket's secret halves.

        Raises:
            SealedError: the vault is sealed.
            IntegrityError: what is unwrapped does not belong to the public half.
        """
        with self._lock:
            return self._bucket(row)

    def envelope(self, envelope_id: str, row: BucketRow, sealed: bytes) -> Envelope:
        """Open an envelope: neighbours share it, and to open one costs more than all else of a small record.

        Args:
            envelope_id: its id.
            row: the bucket it is sealed to.
            sealed: what `Envelope.seal` gave. Altered since, it is not taken for the one that was opened before.

        Raises:
            SealedError: the vault is sealed.
            IntegrityError: the bucket or the envelope was altered.
        """
        with self._lock:
            envelope = self._kept(
                self._envelopes,
                (envelope_id, row.id, sealed),
                lambda: Envelope.open(envelope_id, row.id, sealed, self._bucket(row).private_key),
            )
            if len(self._envelopes) > _ENVELOPES:
                del self._envelopes[next(iter(self._envelopes))]
            return envelope

    def rows(self, connection: Connection, bucket_ids: Iterable[str]) -> Mapping[str, BucketRow]:
        """Give bucket rows by id, each read once: what opening needs of them never changes, only their state does."""
        wanted = set(bucket_ids)
        missing = wanted - self._rows.keys()
        if missing:
            self._rows.update(bucket_rows(connection, missing))
        return {bucket_id: self._rows[bucket_id] for bucket_id in wanted & self._rows.keys()}

    def open_all(self, connection: Connection) -> "BucketSecrets":
        """Open every bucket, and give what knows them all without the key store: for children, which have no HSM."""
        found: dict[str, OpenBucket | KuraError] = {}
        for row in bucket_rows(connection, connection.scalars(select(BucketRow.id)).all()).values():
            try:
                found[row.id] = self.opened(row)
            except KuraError as error:
                found[row.id] = error
        return _AllOpened(self._keys, self._clock, found)

    def forget(self) -> None:
        """Drop all that was unwrapped: the vault is being sealed."""
        with self._lock:
            self._buckets.clear()
            self._envelopes.clear()

    def _bucket(self, row: BucketRow) -> OpenBucket:
        return self._kept(self._buckets, row.id, lambda: open_bucket(row, self._keys))

    def _kept(self, kept: _Kept[T], key: Hashable, unwrap: Callable[[], T]) -> T:
        now = self._clock()
        self._drop_old(now)
        found = kept.get(key)
        if found is None:
            found = kept[key] = now, unwrap()
        return found[1]

    def _drop_old(self, now: datetime) -> None:
        for kept in (self._buckets, self._envelopes):
            # Also what seems to come from the future: a clock that was put back must not lengthen the minute.
            while kept and (self._keys.is_sealed or not timedelta(0) <= now - next(iter(kept.values()))[0] < _OPEN_FOR):
                del kept[next(iter(kept))]


class _AllOpened(BucketSecrets):
    """All buckets as they were at one moment, or why one did not open."""

    def __init__(
        self, keys: KeyStore, clock: Callable[[], datetime], buckets: Mapping[str, OpenBucket | KuraError]
    ) -> None:
        super().__init__(keys, clock)
        self._all = buckets

    def _bucket(self, row: BucketRow) -> OpenBucket:
        bucket = self._all[row.id]
        if isinstance(bucket, KuraError):
            raise bucket
        return bucket


def bucket_rows(connection: Connection, bucket_ids: Iterable[str]) -> Mapping[str, BucketRow]:
    """Read bucket rows by id."""
    rows = [row for bucket_id in bucket_ids for row in _BUCKET.rows(connection, {"bucket": bucket_id})]
    return {row[0]: BucketRow(**dict(zip(BUCKET_COLUMNS, row, strict=True))) for row in rows}
