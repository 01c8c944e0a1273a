"""The deposit verb: take a record, seal it, log it, give its receipt. One at a time or many under one commit.

Order of writes, and what a crash after each step leaves:
1. the objects, sealed, under fresh random names, durable in every store that is there, and in one at least – orphans,
   swept after a day, or when their short lock has lapsed;
2. one transaction {envelope, record, object, copies, index tokens, event, head} – see `vault.ledger.sequencer`;
3. the receipt – a depositor who did not get it sends the same id again, and gets the same receipt;
4. in the background: locks extended (`locking`), owed copies made (`healing`).
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto

from sqlalchemy import Connection, insert

from vault.errors import ConflictError, KuraError
from vault.ledger.sequencer import OUTCOME_UNKNOWN, Appended
from vault.ledger.transaction import Transaction
from vault.people.actor import STATION, Actor
from vault.records.buckets import BUCKET_STATE, Buckets, add_envelope, require_open
from vault.records.content import drop
from vault.records.deposit_rows import DepositRows, Values, rows_of
from vault.records.deposited import Deposited, Outcome, Repeats
from vault.records.ground import Ground
from vault.records.numbering import KNOWN_NUMBER
from vault.records.order import Order
from vault.records.prepare import KNOWN_ID, Prepared, Preparer
from vault.records.request import DepositRequest
from vault.records.source import Source
from vault.storage.statement import Statement, ask, together
from vault.storage.tables import CopyRow, IndexTokenRow, ObjectRow, RecordRow

_ADD_RECORD, _ADD_OBJECT, _ADD_COPY, _ADD_TOKEN = (
    Statement(insert(row)) for row in (RecordRow, ObjectRow, CopyRow, IndexTokenRow)
)


class Deposits:
    """Takes records into a vault, sealed or open."""

    def __init__(self, ground: Ground, buckets: Buckets) -> None:
        """Take into this vault."""
        self._ground, self._buckets = ground, buckets
        self._repeats = Repeats(ground, buckets)
        preparer = Preparer(ground, buckets, self._repeats)
        self.check, self.begin_many, self.prepare_many = preparer.check, preparer.begin_many, preparer.prepare_many
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
        [outcome] = self.prepare_many([Order(actor, contract_id, request, lambda: source)])
        if isinstance(outcome, KuraError):
            raise outcome
        return outcome

    def commit(self, prepared: Sequence[Prepared]) -> list[Outcome]:
        """Commit records in one transaction: a receipt or an error for each, in order."""
        rows = rows_of(prepared, self._ground.clock())  # all that needs no transaction: there is one at a time
        try:
            ledger_ids = {row.record["ledger_id"] for row in rows}
            done = self._ground.sequencer.run(lambda transaction: _write(transaction, rows), *ledger_ids)
        except KuraError as error:
            if error.code not in OUTCOME_UNKNOWN:  # otherwise rows may name these objects: the sweep finds out
                self.discard(prepared)
            if error.code == "bucket-closed":
                self._buckets.forget()  # another process closed it: the next deposit finds the one that is open
            return [error for _ in prepared]
        outcomes: list[Outcome] = []
        appended = iter(done.appended)
        for item, fate in zip(prepared, done.value, strict=True):
            match fate:
                case _Fate.WRITTEN:
                    outcomes.append(self._deposited(item, next(appended)))
                case _Fate.THERE_BEFORE:
                    outcomes.append(self._was_first(item))
                case _Fate.NUMBER_TAKEN:
                    self.discard([item])
                    outcomes.append(ConflictError("sequence-taken", sequence=item.request.sequence))
        return outcomes

    def discard(self, prepared: Iterable[Prepared]) -> None:
        """Remove the bytes of records that will not be committed."""
        for item in prepared:
            drop(item.content.name, self._ground.stores)

    def _deposited(self, item: Prepared, appended: Appended) -> Deposited:
        log = self._ground.sequencer.log(appended.ledger_id)
        receipt = log.receipt_at(appended.entry, appended.index, appended.size, appended.note)
        return Deposited(
            item.request.id, receipt, item.metadata.digest, item.metadata.salt, is_new=True, is_compared=True
        )

    def _was_first(self, item: Prepared) -> Outcome:
        """Another deposit of the same id came first: ours goes, and must have been the same bytes."""
        drop(item.content.name, self._ground.stores)
        digest = None if self._ground.keys.is_sealed else item.content.digest  # sealed, it cannot be compared
        try:
            return self._repeats.answer(item.order.actor, item.begun.contract, item.request, digest)
        except KuraError as error:
            return error


class _Fate(Enum):
    """What became of a deposit in its transaction."""

    WRITTEN = auto()
    THERE_BEFORE = auto()
    NUMBER_TAKEN = auto()


def _write(transaction: Transaction, rows: Sequence[DepositRows]) -> list[_Fate]:
    """Write what is not here yet; say what became of each."""
    connection = transaction.connection
    known, states = _looked_up(connection, rows)
    fates = _fates(rows, known)
    new = [row for row, fate in zip(rows, fates, strict=True) if fate is _Fate.WRITTEN]
    envelopes = {row.envelope.id: row for row in new}
    for row in envelopes.values():
        require_open(row.bucket, states[row.bucket.id])
    places = ({"entry_index": transaction.append_entry(row.record["ledger_id"], row.entry)} for row in new)
    with together(connection):
        for row in envelopes.values():
            add_envelope(connection, row.bucket, row.envelope, row.sealed_envelope)
        _ADD_RECORD.run_many(connection, [{**row.record, **place} for row, place in zip(new, places, strict=True)])
        _ADD_OBJECT.run_many(connection, [row.stored for row in new])
        if copies := [copy for row in new for copy in row.copies]:
            _ADD_COPY.run_many(connection, copies)
        _ADD_TOKEN.run_many(connection, [row.token for row in new if row.token is not None])
    return fates


def _looked_up(
    connection: Connection, rows: Sequence[DepositRows]
) -> tuple[set[object], Mapping[str, tuple[object, ...] | None]]:
    """Give the ids and numbers of some records that are here already, and the states of their buckets."""
    keys: list[object] = []
    questions: list[tuple[Statement, Values]] = []
    for row in rows:
        keys.append(row.record["id"])
        questions.append((KNOWN_ID, {"record_id": row.record["id"]}))
        if (number := _number(row)) is not None:
            keys.append(number)
            questions.append((KNOWN_NUMBER, {"station": number[0], "sequence": number[1]}))
    buckets = list(dict.fromkeys(row.bucket.id for row in rows))
    questions += [(BUCKET_STATE, {"bucket": bucket}) for bucket in buckets]
    answers = ask(connection, questions)
    known = {key for key, answer in zip(keys, answers, strict=False) if answer is not None}
    return known, dict(zip(buckets, answers[len(keys) :], strict=True))


def _fates(rows: Sequence[DepositRows], known: set[object]) -> list[_Fate]:
    """Judge records by what is known: what is stored, and the earlier ones of this commit."""
    fates = []
    for row in rows:
        record_id, number = row.record["id"], _number(row)
        if record_id in known:
            fates.append(_Fate.THERE_BEFORE)
        elif number in known:
            fates.append(_Fate.NUMBER_TAKEN)
        else:
            known |= {record_id, number} - {None}
            fates.append(_Fate.WRITTEN)
    return fates


def _number(row: DepositRows) -> tuple[str, int] | None:
    """Give a station's own number of a record, where it has one."""
    station, sequence = row.record["station"], row.record["sequence"]
    return (station, sequence) if sequence is not None and station.startswith(STATION) else None
