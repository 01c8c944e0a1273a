"""Events with a sealed part: free text, search terms, names, sealed to the contract's audit trail bucket."""

import json
import os
from collections.abc import Mapping

from sqlalchemy import insert

from vault.canonical_json import Json, canonical_json
from vault.errors import IntegrityError
from vault.ledger.event import SALT_BYTES, Event, EventKind, commit
from vault.ledger.transaction import Transaction
from vault.people.actor import Actor
from vault.records.buckets import Buckets, envelope_for
from vault.records.ground import Contract, Ground
from vault.sealing.envelope import Envelope
from vault.sealing.small import EVENT_PART, open_small, seal_small
from vault.storage.statement import Statement
from vault.storage.tables import BucketRow, EventPartRow

_ADD_PART = Statement(insert(EventPartRow))


def append_with_part(
    ground: Ground,
    buckets: Buckets,
    contract: Contract,
    kind: EventKind,
    actor: Actor,
    body: Mapping[str, Json],
    part: Mapping[str, Json] | None,
) -> None:
    """Append an event to a contract's ledger, `part` sealed beside it where there is one; durable on return."""
    event = actor.did(kind, ground.clock(), body)
    bucket = buckets.audit_trail(contract) if part is not None else None

    def change(transaction: Transaction) -> None:
        write_with_part(transaction, contract.ledger_id, event, part, bucket)

    ground.sequencer.run(change, contract.ledger_id)


def write_with_part(
    transaction: Transaction,
    ledger_id: str,
    event: Event,
    part: Mapping[str, Json] | None,
    bucket: BucketRow | None,
) -> int:
    """Append an event and its sealed part in a transaction of the caller's; give its index."""
    if part is None or bucket is None:
        return transaction.append(ledger_id, event)
    salt = os.urandom(SALT_BYTES)
    commitment = commit(salt, part)
    envelope = envelope_for(transaction, bucket)
    sealed = seal_small(envelope.key, EVENT_PART, commitment, salt + canonical_json(part), nonce=os.urandom(12))
    index = transaction.append(ledger_id, event, commitment)
    row = {"ledger_id": ledger_id, "entry_index": index, "envelope_id": envelope.id, "sealed": sealed}
    _ADD_PART.run(transaction.connection, row)
    return index


def open_part(envelope: Envelope, commitment: bytes, sealed: bytes) -> Mapping[str, Json]:
    """Open a sealed part and check it against the commitment in the ledger.

    Raises:
        IntegrityError: it was altered, or is not what was committed to.
    """
    plain = open_small(envelope.key, EVENT_PART, commitment, sealed)
    part: Mapping[str, Json] = json.loads(plain[SALT_BYTES:])
    if commit(plain[:SALT_BYTES], part) != commitment:
        raise IntegrityError("sealed-part-altered", purpose=EVENT_PART)
    return part
