"""Preparing records: checked, sealed and durable in their stores, and waiting for the transaction that makes them one.

Several are prepared together, by one thread: what is made durable together, and asked of the database and of the PDF
workers together, costs less.
"""

import os
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from retention.periods import JST
from retention.policy import RecordClass
from vault.errors import KuraError
from vault.people.actor import Actor
from vault.people.authority import Act, require
from vault.records.buckets import Buckets, scope_of
from vault.records.content import ContentBatch, SealedContent, digest_of
from vault.records.deposited import Deposited, Repeats
from vault.records.ground import Contract, Ground
from vault.records.metadata import Metadata
from vault.records.order import Order
from vault.records.request import ORIGINAL, DepositRequest, check_request, metadata_of
from vault.sealing.associated_data import object_associated_data
from vault.sealing.bucket import BucketId
from vault.sealing.index_token import SUBJECT_KEY, index_token
from vault.storage.statement import Statement, ask
from vault.storage.tables import BucketRow, RecordRow

_ENOUGH_BYTES = 32 << 20  # together: whoever sends large recordings gets a receipt for one while the next is sealed
KNOWN_ID = Statement(select(RecordRow.id).where(RecordRow.id == bindparam("record_id")))


@dataclass(frozen=True, slots=True)
class _Begun:
    """A record that may be taken, while its bytes are on their way."""

    order: Order
    contract: Contract
    bucket: BucketRow
    data_key: bytes
    token: bytes | None
    is_indexed: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """A record whose bytes are stored and which waits for its transaction."""

    begun: _Begun
    content: SealedContent
    metadata: Metadata

    @property
    def order(self) -> Order:
        """What was asked."""
        return self.begun.order

    @property
    def request(self) -> DepositRequest:
        """What is said of the record."""
        return self.begun.order.request


class Preparation:
    """Several records whose bytes are sealed and on their way to the disk. Finished once, by any thread."""

    def __init__(self, begun: "Sequence[_Begun | Deposited | KuraError]", contents: ContentBatch) -> None:
        """Take what was begun; `contents` has those bytes, in the same order."""
        self._begun, self._contents = begun, contents

    def __len__(self) -> int:
        return len(self._begun)

    def finish(self) -> list[Prepared | Deposited | KuraError]:
        """Make them durable and hear their checks.

        For each in order: what waits for its transaction, the receipt of a record that was here already, or the error,
        as `Deposits.deposit` raises it.
        """
        sealed = iter(self._contents.finish())
        return [_end(item, next(sealed)) if isinstance(item, _Begun) else item for item in self._begun]


class Preparer:
    """Prepares records of a vault, sealed or open."""

    def __init__(self, ground: Ground, buckets: Buckets, repeats: Repeats) -> None:
        """Prepare for this vault."""
        self._ground, self._buckets, self._repeats = ground, buckets, repeats

    def begin_many(self, orders: Sequence[Order]) -> "Preparation":
        """Check and seal the first records of several, until they are enough; `finish` makes them durable together.

        One that is refused stops no other. The sources are opened one after the other, and read to their ends here.

        Raises:
            UnavailableError: the database could not be asked; nothing was sealed.
        """
        known = self._ground.ready.run(lambda connection: _known(connection, [order.request.id for order in orders]))
        # Whoever has a second disk has it to lose either: then every object is on both.
        least_copies = 1 if self._ground.second is None else 2
        contents = ContentBatch(self._ground.stores, self._ground.pdf_pool, least_copies)
        try:
            begun = []
            for order in orders:
                begun.append(self._begin(order, known, contents))
                if contents.content_bytes >= _ENOUGH_BYTES:
                    break
            return Preparation(begun, contents)
        except BaseException:
            contents.abort()
            raise

    def prepare_many(self, orders: Sequence[Order]) -> list[Prepared | Deposited | KuraError]:
        """Prepare several records, as `begin_many` and `Preparation.finish` do, to the last."""
        prepared: list[Prepared | Deposited | KuraError] = []
        while len(prepared) < len(orders):
            prepared += self.begin_many(orders[len(prepared) :]).finish()
        return prepared

    def check(self, actor: Actor, contract_id: str, request: DepositRequest) -> RecordClass:
        """Check what can be checked without the bytes; give the record class.

        Raises:
            RefusedError: the actor may not deposit this, or the request is wrong.
        """
        contract = self._ground.contract(contract_id)
        record_class = check_request(request, contract.policy, self._ground.clock())
        require(actor, Act.DEPOSIT, contract.id, record_class)
        return record_class

    def _begin(self, order: Order, known: AbstractSet[str], contents: ContentBatch) -> _Begun | Deposited | KuraError:
        """Check one record and seal its bytes; or find that it is here already."""
        request = order.request
        try:
            contract, now = self._ground.contract(order.contract_id), self._ground.clock()
            record_class = self.check(order.actor, contract.id, request)
            source = order.open_source()
            if request.id in known:
                digest = None if self._ground.keys.is_sealed else digest_of(source, order.sha256)
                return self._repeats.answer(order.actor, contract, request, digest)
            scope = scope_of(record_class, request.ended_at, now.astimezone(JST).date())
            bucket = self._buckets.find(BucketId(contract.id, record_class.id, scope))
            token, is_indexed = self._token(request, bucket)
            data_key = os.urandom(32)
            bound_to = object_associated_data(contract.id, request.id, ORIGINAL, 1)
            contents.seal(source, record_class, data_key, bound_to, order.sha256)
        except KuraError as error:
            return error
        return _Begun(order, contract, bucket, data_key, token, is_indexed)

    def _token(self, request: DepositRequest, bucket: BucketRow) -> tuple[bytes | None, bool]:
        """Give the index token; a sealed vault makes it when it is opened."""
        if self._ground.keys.is_sealed:
            return None, False
        if request.subject_key is None:
            return None, True
        index_key = self._buckets.secrets.opened(bucket).index_key
        return index_token(index_key, SUBJECT_KEY, request.subject_key), True


def _known(connection: Connection, record_ids: Iterable[str]) -> set[str]:
    """Give those of some records that are in the vault already."""
    found = ask(connection, ((KNOWN_ID, {"record_id": record_id}) for record_id in record_ids))
    return {row[0] for row in found if row is not None}


def _end(begun: _Begun, content: SealedContent | KuraError) -> Prepared | KuraError:
    if isinstance(content, KuraError):
        return content
    metadata = Metadata(content.digest, os.urandom(32), metadata_of(begun.order.request), content.flaw)
    return Prepared(begun, content, metadata)
