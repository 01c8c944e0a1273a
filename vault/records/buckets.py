"""Which bucket a record goes to, and making buckets ahead, with their event.

Order of making (a crash after each step leaves nothing that hurts): disposal keys durable in the key store – keys
without a row, swept at the next opening; then rows and event in one transaction. The first wrap comes after that.
"""

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, bindparam, insert, select

from retention.periods import trigger_date
from retention.policy import AUDIT_TRAIL, RecordClass
from vault.errors import RefusedError, UnavailableError
from vault.ledger.event import EventKind
from vault.ledger.transaction import Transaction
from vault.people.actor import VAULT
from vault.records.ground import Contract, Ground
from vault.sealing.bucket import BucketId, check_public_half, describe, new_bucket
from vault.sealing.bucket_secrets import BUCKET_COLUMNS, BucketSecrets
from vault.sealing.envelope import Envelope
from vault.storage.statement import Statement
from vault.storage.tables import BucketRow, EnvelopeRow

_BUCKETS_PER_EVENT = 150  # about 330 bytes each; an entry holds 65,535

BUCKET_STATE = Statement(select(BucketRow.state).where(BucketRow.id == bindparam("bucket")))
_ADD_ENVELOPE = Statement(insert(EnvelopeRow))


def scope_of(record_class: RecordClass, ended_at: datetime, today: date) -> str:
    """Say which bucket of its class a record that ended at `ended_at` belongs to.

    Raises:
        RefusedError: the record is due already, and its class does not take late ones.
    """
    trigger_on = record_class.trigger_date_for(ended_at)
    due_on = record_class.disposal_date_for(trigger_on)
    if due_on is None:
        return f"trigger:{record_class.trigger_name()}"
    if due_on <= today:
        if record_class.late == "refuse":
            raise RefusedError("record-due-already", record_class=record_class.id, due=due_on.isoformat())
        due_on = today + timedelta(days=1)
    return due_on.isoformat()


@dataclass(frozen=True, slots=True)
class BucketAhead:
    """A bucket, and the Japanese days, both inclusive, on which records for it end."""

    row: BucketRow
    first_day: date
    last_day: date


class Buckets:
    """The buckets that take new records. `secrets` opens them."""

    def __init__(self, ground: Ground) -> None:
        """Begin with nothing cached."""
        self._ground = ground
        self._rows: dict[BucketId, BucketRow] = {}
        self.secrets = BucketSecrets(ground.keys, ground.clock)

    def find(self, which: BucketId) -> BucketRow:
        """Give the open bucket for new records, its public half vouched for; make it where the vault is open.

        Raises:
            UnavailableError: the vault is sealed and the bucket was not made ahead.
            IntegrityError: the row's public half is not the vault's.
        """
        row = self._rows.get(which) or self._load(which)
        if row is None:
            if self._ground.keys.is_sealed:
                raise UnavailableError("bucket-not-ready", record_class=which.class_id, scope=which.scope)
            self.make([which])
            row = self._load(which)
        if row is None:  # pragma: no cover - it was just made
            raise UnavailableError("bucket-not-ready", record_class=which.class_id, scope=which.scope)
        return row

    def forget(self) -> None:
        """Find every bucket anew: one of those known is no longer open."""
        self._rows = {}

    def audit_trail(self, contract: Contract) -> BucketRow:
        """Give the bucket of the sealed parts of a contract's events."""
        record_class = contract.policy.classes[AUDIT_TRAIL]
        now = self._ground.clock()
        scope = scope_of(record_class, now, trigger_date(now))
        return self.find(BucketId(contract.id, AUDIT_TRAIL, scope))

    def make(self, wanted: Iterable[BucketId]) -> int:
        """Make the buckets that do not exist yet; give their number. The vault must be open."""
        with self._ground.bucket_lock:
            with self._ground.engine.connect() as connection:
                there = _open_buckets(connection)
            missing = [which for which in dict.fromkeys(wanted) if which not in there]
            if not missing:
                return 0
            key_ids = self._ground.keys.create_disposal_keys(len(missing))
            unused: set[str] = set()
            for contract_id in sorted({which.contract_id for which in missing}):
                pairs = [pair for pair in zip(missing, key_ids, strict=True) if pair[0].contract_id == contract_id]
                unused |= self._write(contract_id, pairs)
            if unused:
                self._ground.keys.destroy(unused, self._ground.clock())
            return len(missing) - len(unused)

    def ahead(self, contract: Contract, record_class: RecordClass, today: date) -> list["BucketAhead"]:
        """Give the buckets of a class for records that end from yesterday on, as far ahead as there are buckets."""
        ahead: list[BucketAhead] = []
        for offset in range(-1, self._ground.days_ahead + 1):
            day = today + timedelta(days=offset)
            row = self._load(BucketId(contract.id, record_class.id, _scope_on(record_class, day)))
            if row is None:
                continue
            if ahead and ahead[-1].row.id == row.id and ahead[-1].last_day == day - timedelta(days=1):
                ahead[-1] = replace(ahead[-1], last_day=day)
            else:
                ahead.append(BucketAhead(row, day, day))
        return ahead

    def _load(self, which: BucketId) -> BucketRow | None:
        with self._ground.engine.connect() as connection:
            row = _select(connection, which)
        if row is not None:
            keys = self._ground.keys
            check_public_half(row, {key_id: keys.public_key(key_id) for key_id in keys.signing_key_ids()})
            self._rows[which] = row
        return row

    def _write(self, contract_id: str, pairs: list[tuple[BucketId, str]]) -> set[str]:
        """Write buckets with their event; give the unused keys of those that another process made meanwhile."""
        log = self._ground.log_of(contract_id)
        rows = [
            new_bucket(which, secrets.token_hex(16), key_id, os.urandom(32), self._ground.keys, log.signing_key_id)
            for which, key_id in pairs
        ]

        def change(transaction: Transaction) -> set[str]:
            known = select(BucketRow.class_id, BucketRow.scope, BucketRow.generation)
            known = known.where(BucketRow.contract_id == contract_id, BucketRow.scope.in_({row.scope for row in rows}))
            there = {tuple(found) for found in transaction.connection.execute(known)}
            new = [row for row in rows if (row.class_id, row.scope, row.generation) not in there]
            if new:
                values = [{name: getattr(row, name) for name in BUCKET_COLUMNS} for row in new]
                transaction.connection.execute(insert(BucketRow), values)
            for first in range(0, len(new), _BUCKETS_PER_EVENT):
                body = {"buckets": [describe(row) for row in new[first : first + _BUCKETS_PER_EVENT]]}
                event = VAULT.did(EventKind.BUCKETS_CREATED, self._ground.clock(), body)
                transaction.append(log.id, event)
            return {row.key_id for row in rows} - {row.key_id for row in new}

        return self._ground.sequencer.run(change, log.id).value


def new_envelope(row: BucketRow) -> tuple[Envelope, bytes]:
    """Make an envelope for a bucket and seal it; it belongs to whoever stores it first."""
    envelope = Envelope(secrets.token_hex(16), row.id, os.urandom(32))
    return envelope, envelope.seal(row.public_key)


def require_open(row: BucketRow, state: tuple[object, ...] | None) -> None:
    """Judge what `BUCKET_STATE` says of a bucket.

    Raises:
        RefusedError: it takes no records any more; a later generation does.
    """
    if state != ("open",):
        raise RefusedError("bucket-closed", record_class=row.class_id, scope=row.scope)


def add_envelope(connection: Connection, row: BucketRow, envelope: Envelope, sealed: bytes) -> None:
    """Store an envelope beside what it opens, in a bucket that is open."""
    _ADD_ENVELOPE.run(connection, {"id": envelope.id, "bucket_id": row.id, "sealed": sealed})


def envelope_for(transaction: Transaction, row: BucketRow) -> Envelope:
    """Give the envelope of a bucket that the changes of this transaction share, stored with the first use.

    Raises:
        RefusedError: as `require_open`.
    """
    memo = transaction.memo.get(("envelope", row.id))
    if isinstance(memo, Envelope):
        return memo
    envelope, sealed = new_envelope(row)
    require_open(row, BUCKET_STATE.first(transaction.connection, {"bucket": row.id}))
    add_envelope(transaction.connection, row, envelope, sealed)
    transaction.memo["envelope", row.id] = envelope
    return envelope


def wanted_ahead(contract: Contract, today: date, days_ahead: int) -> list[BucketId]:
    """Name the buckets that records of the coming days will need, of every class."""
    wanted: dict[BucketId, None] = {}
    for record_class in contract.policy.classes.values():
        for offset in range(-1, days_ahead + 1):
            scope = _scope_on(record_class, today + timedelta(days=offset))
            wanted[BucketId(contract.id, record_class.id, scope)] = None
    return list(wanted)


def _scope_on(record_class: RecordClass, day: date) -> str:
    """Say which bucket records belong to that end on a Japanese day."""
    due_on = None if record_class.pending else record_class.disposal_date_for(day)
    return f"trigger:{record_class.trigger_name()}" if due_on is None else due_on.isoformat()


def _open_buckets(connection: Connection) -> set[BucketId]:
    """Name every open bucket: some thousands at most, and one query costs less than one for each."""
    rows = connection.execute(
        select(BucketRow.contract_id, BucketRow.class_id, BucketRow.scope).where(BucketRow.state == "open")
    )
    return {BucketId(row.contract_id, row.class_id, row.scope) for row in rows}


def _select(connection: Connection, which: BucketId) -> BucketRow | None:
    row = (
        connection.execute(
            select(*(getattr(BucketRow, name) for name in BUCKET_COLUMNS))
            .where(BucketRow.contract_id == which.contract_id, BucketRow.class_id == which.class_id)
            .where(BucketRow.scope == which.scope, BucketRow.state == "open")
            .order_by(BucketRow.generation.desc())
            .limit(1)
        )
        .mappings()
        .first()
    )
    return None if row is None else BucketRow(**row)
