"""What a depositor gets back, and giving it again: to whoever asks for a receipt, or sends the same id again."""

from dataclasses import dataclass

from sqlalchemy import select

from vault.errors import ConflictError, KuraError, NotFoundError
from vault.ledger.receipt import Receipt
from vault.people.actor import Actor
from vault.records.buckets import Buckets
from vault.records.ground import Contract, Ground
from vault.records.opening import opener_for, read_records
from vault.records.request import DepositRequest, metadata_of
from vault.storage.tables import RecordRow


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


Outcome = Deposited | KuraError
"""What comes of a deposit."""


class Repeats:
    """Answers for records that are in the vault already."""

    def __init__(self, ground: Ground, buckets: Buckets) -> None:
        """Answer for this vault."""
        self._ground = ground
        self._buckets = buckets

    def receipt(self, contract_id: str, record_id: str, depositor: Actor | None = None) -> Receipt:
        """Give a record's receipt again, byte for byte.

        Args:
            contract_id: the record's contract.
            record_id: the record.
            depositor: whose deposit it must have been; anybody's where None.

        Raises:
            NotFoundError: there is no such record.
        """
        with self._ground.engine.connect() as connection:
            row = connection.execute(
                select(RecordRow.ledger_id, RecordRow.entry_index, RecordRow.station).where(
                    RecordRow.id == record_id, RecordRow.contract_id == contract_id
                )
            ).first()
            if row is None or (depositor is not None and row.station != depositor.name):
                raise NotFoundError("record-unknown")
            return self._ground.sequencer.log(row.ledger_id).receipt(connection, row.entry_index)

    def answer(self, actor: Actor, contract: Contract, request: DepositRequest, digest: bytes | None) -> Deposited:
        """Answer a repeated id; only its own depositor, class and bytes get the receipt.

        Args:
            actor: who sends it.
            contract: to which contract.
            request: what is said of it.
            digest: SHA-256 of the bytes that came with it; None where a sealed vault could not compare it.

        Raises:
            ConflictError: the id is taken by another record.
        """
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
