"""The tables, one file per room. Rows only: the mapping to domain objects lives in the room that owns the object."""

from vault.storage.tables.base import Base
from vault.storage.tables.buckets import BucketRow, EnvelopeRow
from vault.storage.tables.contracts import ContractRow
from vault.storage.tables.copies import CopyRow
from vault.storage.tables.ledgers import CheckpointRow, EventPartRow, EventRow, LedgerRow, TileRow
from vault.storage.tables.operations import LeaseRow, ScrubRow
from vault.storage.tables.people import GrantRow, PersonRow
from vault.storage.tables.records import IndexTokenRow, ObjectRow, RecordRow
from vault.storage.tables.stations import AuthorityRow, CertificateRow, StationRow

__all__ = [
    "AuthorityRow",
    "Base",
    "BucketRow",
    "CertificateRow",
    "CheckpointRow",
    "ContractRow",
    "CopyRow",
    "EnvelopeRow",
    "EventPartRow",
    "EventRow",
    "GrantRow",
    "IndexTokenRow",
    "LeaseRow",
    "LedgerRow",
    "ObjectRow",
    "PersonRow",
    "RecordRow",
    "ScrubRow",
    "StationRow",
    "TileRow",
]
