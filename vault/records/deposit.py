"""The deposit verb: take a record, seal it, log it, give its receipt. One at a time or many under one commit.

Order of writes, and what a crash after each step leaves:
1. the object, sealed, under a fresh random name, durable in every store – an orphan, swept after a day;
2. one transaction {envelope, record, object, index tokens, event, head} – see `vault.ledger.sequencer`;
3. the receipt – a depositor who did not get it sends the same id again, and gets the same receipt.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, insert, select

from retention.periods import JST, trigger_date
from vault.errors import ConflictError, KuraError, NotFoundError
from vault.ledger.event import EventKind
from vault.ledger.receipt import Receipt
from vault.ledger.sequencer import OUTCOME_UNKNOWN, Appended
from vault.ledger.transaction import Transaction
from vault.people.actor import Actor
from vault.people.authority import Act, require
from vault.records.buckets import Buckets, envelope_for, scope_of
from vault.records.content import SealedContent, digest_of, drop, seal_content
from vault.records.deposit_event import commitment_of, deposit_body
from vault.records.ground import Contract, Ground
from vault.records.metadata import Metadata
from vault.records.opening import opener_for, read_records
from vault.records.request import ORIGINAL, DepositRequest, check_request, metadata_of
from vault.records.source import Source
from vault.sealing.associated_data import object_associated_data
from vault.sealing.bucket import BucketId
from vault.sealing.index_token import SUBJECT_KEY, index_token
from vault.storage.tables import BucketRow, IndexTokenRow, ObjectRow, RecordRow

# Made once: to build a statement costs more than to run it, and these run for every deposit.
_KNOWN_ID = select(RecordRow.id).where(RecordRow.id == bindparam("record_id"))
_KNOWN_IDS = select(RecordRow.id).where(RecordRow.id.in_(bindparam("record_ids", expanding=True)))
_ADD_RECORDS, _ADD_OBJECTS, _ADD_TOKENS = insert(RecordRow), insert(ObjectRow), insert(IndexTokenRow)


@dataclass(frozen=True, slots=True)
class Deposited:
    """What the depositor gets back.

    Attributes:
        record_id: the record.
        receipt: proof that the deposit is in the ledger.
        digest: SHA-256 of what was taken; None for a repeated id in a sealed vault.
        salt: with the digest it opens the receipt's commitment; given once.
        is_new: False where the id was there already.
        is_compared: False where a sealed vault could not compare the bytes of a repeated id.
    """

    record_id: str
    receipt: Receipt
    digest: bytes | None
    salt: bytes | None
    is_new: bool
    is_compared: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record whose bytes are stored and which waits for its transaction."""

    request: DepositRequest
    actor: Actor
    contract: Contract
    bucket: BucketRow
    data_key: bytes
    content: SealedContent
    metadata: Metadata
    token: bytes | None
    is_indexed: bool


class Deposits:
    """Takes records into a vault, sealed or open."""

    def __init__(self, ground: Ground, buckets: Buckets) -> None:
        """Take into this vault."""
        self._ground = ground
        self._buckets = buckets

    def deposit(self, actor: Actor, contract_id: str, request: DepositRequest, source: Source) -> Deposited:
        """Take one record; durable on return.

        Raises:
            RefusedError: not allowed, or the request or the bytes are wrong; nothing is kept.
            ConflictError: the id is taken by other bytes.
            UnavailableError: a disk failed, or a sealed vault has no bucket for it.
        """
        prepared = self.prepare(actor, contract_id, request, source)
        if isinstance(prepared, Deposited):
            return prepared
        [outcome] = self.commit([prepared])
        if isinstance(outcome, KuraError):
            raise outcome
        return outcome

    def prepare(
        self, actor: Actor, contract_id: str, request: DepositRequest, source: Source
    ) -> "Prepared | Deposited":
        """Check, seal and store the bytes; or find that the record is here already. Errors as `deposit`."""
        contract = self._ground.contract(contract_id)
        now = self._ground.clock()
        record_class = check_request(request, contract.policy, now)
        require(actor, Act.DEPOSIT, contract_id, record_class)
        existing = self._existing(actor, contract, request, source)
        if existing is not None:
            return existing
        scope = scope_of(record_class, request.ended_at, now.astimezone(JST).date())
        bucket = self._buckets.find(BucketId(contract_id, record_class.id, scope))
        data_key = os.urandom(32)
        associated_data = object_associated_data(contract_id, request.id, ORIGINAL, 1)
        content = seal_content(
            source, record_class, data_key, associated_data, self._ground.stores, self._ground.pdf_pool
        )
        metadata = Metadata(content.digest, os.urandom(32), metadata_of(request), content.flaw)
        token, is_indexed = self._token(request, bucket)
        return Prepared(request, actor, contract, bucket, data_key, content, metadata, token, is_indexed)

    def commit(self, prepared: Sequence[Prepared]) -> list[Deposited | KuraError]:
        """Commit records in one transaction: a receipt or an error for each, in order."""
        try:
            done = self._ground.sequencer.run(lambda transaction: self._write(transaction, prepared))
        except KuraError as error:
            if error.code not in OUTCOME_UNKNOWN:  # otherwise rows may name these objects: the sweep finds out
                self.discard(prepared)
            return [error for _ in prepared]
        outcomes: list[Deposited | KuraError] = []
        appended = iter(done.appended)
        for item, is_written in zip(prepared, done.value, strict=True):
            outcomes.append(self._deposited(item, next(appended)) if is_written else self._was_first(item))
        return outcomes

    def discard(self, prepared: Iterable[Prepared]) -> None:
        """Remove the bytes of records that will not be committed."""
        for item in prepared:
            drop(item.content.name, (), self._ground.stores)

    def receipt(self, contract_id: str, record_id: str) -> Receipt:
        """Give a record's receipt again, byte for byte.

        Raises:
            NotFoundError: there is no such record in this contract.
        """
        with self._ground.engine.connect() as connection:
            row = connection.execute(
                select(RecordRow.ledger_id, RecordRow.entry_index).where(
                    RecordRow.id == record_id, RecordRow.contract_id == contract_id
                )
            ).first()
            if row is None:
                raise NotFoundError("record-unknown")
            return self._ground.sequencer.log(row.ledger_id).receipt(connection, row.entry_index)

    def _token(self, request: DepositRequest, bucket: BucketRow) -> tuple[bytes | None, bool]:
        """Give the index token; a sealed vault makes it when it is opened."""
        if self._ground.keys.is_sealed:
            return None, False
        if request.subject_key is None:
            return None, True
        index_key = self._buckets.secrets.opened(bucket).index_key
        return index_token(index_key, SUBJECT_KEY, request.subject_key), True

    def _write(self, transaction: Transaction, prepared: Sequence[Prepared]) -> list[bool]:
        connection = transaction.connection
        ids = [item.request.id for item in prepared]
        taken = set(connection.scalars(_KNOWN_IDS, {"record_ids": ids}))
        records: list[dict[str, Any]] = []
        objects: list[dict[str, Any]] = []
        tokens: list[dict[str, Any]] = []
        written: list[bool] = []
        for item in prepared:
            written.append(item.request.id not in taken)
            if not written[-1]:
                continue
            taken.add(item.request.id)
            records.append(self._append(transaction, item))
            objects.append(_object_values(item))
            if item.token is not None:
                tokens.append({"token": item.token, "record_id": item.request.id})
        for statement, rows in ((_ADD_RECORDS, records), (_ADD_OBJECTS, objects), (_ADD_TOKENS, tokens)):
            if rows:
                connection.execute(statement, rows)
        return written

    def _append(self, transaction: Transaction, item: Prepared) -> dict[str, Any]:
        """Append the event of one record; give its row."""
        request, now = item.request, self._ground.clock()
        envelope = envelope_for(transaction, item.bucket)
        values: dict[str, Any] = {
            "id": request.id,
            "contract_id": item.contract.id,
            "class_id": request.class_id,
            "bucket_id": item.bucket.id,
            "ledger_id": item.contract.ledger_id,
            "status": "kept" if item.content.flaw is None else "quarantined",
            "started_at": request.started_at,
            "ended_at": request.ended_at,
            "trigger_date": trigger_date(request.ended_at),
            "site": request.site,
            "station": item.actor.name,
            "sequence": request.sequence,
            "title_code": request.title_code,
            "deposited_at": now,
            "envelope_id": envelope.id,
            "wrapped_key": envelope.wrap(item.data_key),
            "sealed_metadata": item.metadata.seal(item.data_key, item.contract.id, request.id, nonce=os.urandom(12)),
            "is_indexed": item.is_indexed,
        }
        commitment = commitment_of(item.metadata.salt, item.metadata.digest)
        body = deposit_body(values, [_object_values(item)], commitment)
        event = item.actor.did(EventKind.DEPOSIT_ACCEPTED, now, body)
        values["entry_index"] = transaction.append(item.contract.ledger_id, event)
        return values

    def _deposited(self, item: Prepared, appended: Appended) -> Deposited:
        log = self._ground.sequencer.log(appended.ledger_id)
        receipt = log.receipt_at(appended.entry, appended.index, appended.size, appended.note)
        return Deposited(
            item.request.id, receipt, item.metadata.digest, item.metadata.salt, is_new=True, is_compared=True
        )

    def _was_first(self, item: Prepared) -> Deposited | KuraError:
        """Another deposit of the same id came first: ours goes, and must have been the same bytes."""
        drop(item.content.name, (), self._ground.stores)
        try:
            return self._repeat(item.actor, item.contract, item.request, item.content.digest)
        except KuraError as error:
            return error

    def _existing(self, actor: Actor, contract: Contract, request: DepositRequest, source: Source) -> Deposited | None:
        with self._ground.engine.connect() as connection:
            if connection.scalar(_KNOWN_ID, {"record_id": request.id}) is None:
                return None
        digest = None if self._ground.keys.is_sealed else digest_of(source)
        return self._repeat(actor, contract, request, digest)

    def _repeat(self, actor: Actor, contract: Contract, request: DepositRequest, digest: bytes | None) -> Deposited:
        """Answer a repeated id; only its own depositor, class and bytes get the receipt."""
        with self._ground.engine.connect() as connection:
            record = read_records(connection, [request.id])[request.id]
            values = record.values
            if (values["contract_id"], values["class_id"], values["station"]) != (
                contract.id,
                request.class_id,
                actor.name,
            ):
                raise ConflictError("record-id-taken")
            metadata = None
            if digest is not None:
                metadata = opener_for(connection, self._buckets.secrets, [record]).open(record).metadata
                if metadata.digest != digest or metadata.fields != metadata_of(request):
                    raise ConflictError("record-id-taken")
            receipt = self._ground.sequencer.log(values["ledger_id"]).receipt(connection, values["entry_index"])
        salt = metadata.salt if metadata is not None else None
        return Deposited(request.id, receipt, digest, salt, is_new=False, is_compared=digest is not None)


def _object_values(item: Prepared) -> dict[str, Any]:
    content = item.content
    return {
        "record_id": item.request.id,
        "component": ORIGINAL,
        "version": 1,
        "name": content.name,
        "media_type": content.media_type,
        "content_bytes": content.content_bytes,
        "sealed_bytes": content.sealed_bytes,
        "sealed_blake3": content.sealed_blake3,
        "copies": content.copies,
    }
