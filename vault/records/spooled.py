"""Spools as orders: what a station sealed to a bucket while the vault could not be reached, opened as it arrives."""

from collections.abc import Callable

from vault.errors import NotFoundError, RefusedError, SealedError
from vault.people.actor import Actor
from vault.records.announcement import announced, parse_members
from vault.records.buckets import Buckets
from vault.records.ground import Ground
from vault.records.order import Order
from vault.sealing.bucket_secrets import bucket_rows
from vault.sealing.spooled import SpoolReader


def spooled_order(
    ground: Ground, buckets: Buckets, actor: Actor, contract_id: str, record_id: str, fill: Callable[[memoryview], int]
) -> Order:
    """Open a spool that `fill` gives; its content is read when the order is worked on.

    Args:
        ground: what the vault stands on.
        buckets: the vault's.
        actor: who sends it.
        contract_id: the actor's.
        record_id: the record that it is sent as.
        fill: fills a buffer with the bytes that come next.

    Raises:
        SealedError: the vault must be open for it.
        RefusedError: it is no spool, was altered, or is another record's.
        NotFoundError: its bucket is not here, or no more.
    """
    if ground.keys.is_sealed:
        raise SealedError("vault-sealed")
    reader = SpoolReader(fill)
    if (reader.header.id, reader.header.contract) != (record_id, contract_id):
        raise RefusedError("spool-altered", record=record_id)
    with ground.engine.connect() as connection:
        row = bucket_rows(connection, [reader.header.bucket]).get(reader.header.bucket)
    if row is None or row.contract_id != contract_id or row.state == "destroyed":
        raise NotFoundError("spool-bucket-unknown", record=record_id)
    request = announced(record_id, parse_members(reader.open(buckets.secrets.opened(row).private_key))).request
    if row.class_id != request.class_id:
        raise RefusedError("spool-altered", record=record_id)
    return Order(actor, contract_id, request, lambda: reader)
