"""The deposit verb: take a record, seal it, log it, give its receipt. One at a time or many under one commit.

Order of writes, and what a crash after each step leaves:
1. the objects, sealed, under fresh random names, durable in every store – orphans, swept after a day;
2. one transaction {envelope, record, object, index tokens, event, head} – see `vault.ledger.sequencer`;
3. the receipt – a depositor who did not get it sends the same id again, and gets the same receipt.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import insert

from retention.periods import trigger_date
from vault.errors import KuraError
from vault.ledger.event import EventKind
from vault.ledger.sequencer import OUTCOME_UNKNOWN, Appended
from vault.ledger.transaction import Transaction
from vault.people.actor import Actor
from vault.records.buckets import Buckets, envelope_for
from vault.records.content import drop
from vault.records.deposit_event import commitment_of, deposit_body
from vault.records.deposited import Deposited, Repeats
from vault.records.ground import Ground
from vault.records.prepare import KNOWN_ID, Prepared, Preparer
from vault.records.request import ORIGINAL, DepositRequest
from vault.records.source import Source
from vault.storage.statement import Statement
from vault.storage.tables import IndexTokenRow, ObjectRow, RecordRow

_ADD_RECORD, _ADD_OBJECT, _ADD_TOKEN = (Statement(insert(row)) for row in (RecordRow, ObjectRow, IndexTokenRow))


class Deposits:
    """Takes records into a vault, sealed or open."""

    def __init__(self, ground: Ground, buckets: Buckets) -> None:
        """Take into this vault."""
        self._ground = ground
        self._repeats = Repeats(ground, buckets)
        preparer = Preparer(ground, buckets, self._repeats)
        self.begin_many, self.prepare_many = preparer.begin_many, preparer.prepare_many
        self.receipt = self._repeats.receipt

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
        [outcome] = self.prepare_many(actor, contract_id, [(request, lambda: source)])
        if isinstance(outcome, KuraError):
            raise outcome
        return outcome

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

    def _write(self, transaction: Transaction, prepared: Sequence[Prepared]) -> list[bool]:
        connection = transaction.connection
        records: list[dict[str, Any]] = []
        objects: list[dict[str, Any]] = []
        tokens: list[dict[str, Any]] = []
        taken: set[str] = set()
        written: list[bool] = []
        for item in prepared:
            record_id = item.request.id
            written.append(record_id not in taken and KNOWN_ID.first(connection, {"record_id": record_id}) is None)
            if not written[-1]:
                continue
            taken.add(record_id)
            objects.append(_object_values(item))
            records.append(self._append(transaction, item, objects[-1]))
            if item.token is not None:
                tokens.append({"token": item.token, "record_id": record_id})
        _ADD_RECORD.run_many(connection, records)
        _ADD_OBJECT.run_many(connection, objects)
        _ADD_TOKEN.run_many(connection, tokens)
        return written

    def _append(self, transaction: Transaction, item: Prepared, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Append the event of one record and its object; give the record's row."""
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
        body = deposit_body(values, [stored], commitment)
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
            return self._repeats.answer(item.actor, item.contract, item.request, item.content.digest)
        except KuraError as error:
            return error


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
