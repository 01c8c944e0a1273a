"""Records, their sealed objects, and the tokens by which they are found again."""

from datetime import date, datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.tables.base import Base, Instant, postgresql_check

_NUMBERED = text("sequence IS NOT NULL AND station LIKE 'station:%'")


class RecordRow(Base):
    """One record. All but the wrapped key, which changes on a re-wrap, follows from its deposit event."""

    __tablename__ = "records"
    __table_args__ = (
        ForeignKeyConstraint(
            # Entries are written last, in one statement for the whole commit.
            ["ledger_id", "entry_index"],
            ["events.ledger_id", "events.entry_index"],
            deferrable=True,
            initially="DEFERRED",
        ),
        UniqueConstraint("ledger_id", "entry_index"),
        CheckConstraint("status IN ('kept', 'quarantined')", name="status"),
        CheckConstraint("started_at < ended_at", name="times"),
        postgresql_check("lines_root", "octet_length(lines_root) = 32"),
        Index("ix_records_class", "contract_id", "class_id", "ended_at", "id"),
        Index("ix_records_bucket", "bucket_id"),
        # A station numbers what it sends. (People's imports may carry the numbers of other systems.)
        Index(
            "uq_records_number", "station", "sequence", unique=True, sqlite_where=_NUMBERED, postgresql_where=_NUMBERED
        ),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)  # UUIDv7, chosen by the depositor
    contract_id: Mapped[str] = mapped_column(ForeignKey("contracts.id"))
    class_id: Mapped[str] = mapped_column(String(64))
    bucket_id: Mapped[str] = mapped_column(ForeignKey("buckets.id"))
    ledger_id: Mapped[str] = mapped_column(String(64))
    entry_index: Mapped[int]
    status: Mapped[str] = mapped_column(String(12))
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_at: Mapped[datetime] = mapped_column(Instant)  # exclusive
    trigger_date: Mapped[date]  # JST, of the last recorded instant
    site: Mapped[str | None] = mapped_column(String(64))
    station: Mapped[str] = mapped_column(String(64))  # who deposited: "person:1001" or a station's name
    sequence: Mapped[int | None]  # the station's own number
    title_code: Mapped[str | None] = mapped_column(String(64))
    clock_offset_s: Mapped[int | None]  # the vault's clock less the station's, where it counted
    lines: Mapped[int | None]  # of a journal
    lines_root: Mapped[bytes | None] = mapped_column(LargeBinary)  # Merkle root of a journal's lines
    deposited_at: Mapped[datetime] = mapped_column(Instant)
    envelope_id: Mapped[str] = mapped_column(ForeignKey("envelopes.id"))
    wrapped_key: Mapped[bytes] = mapped_column(LargeBinary)  # the data key, AES-KWP under the envelope's key
    sealed_metadata: Mapped[bytes] = mapped_column(LargeBinary)  # nonce and AES-256-GCM under the data key
    is_indexed: Mapped[bool]  # false: taken while sealed, tokens come when the vault is opened


class ObjectRow(Base):
    """One sealed object of a record, as it stands in every store that holds a copy."""

    __tablename__ = "objects"
    __table_args__ = (
        UniqueConstraint("name"),
        postgresql_check("bytes", "content_bytes >= 0 AND sealed_bytes >= 0"),
        postgresql_check("sealed_blake3", "octet_length(sealed_blake3) = 32"),
    )

    record_id: Mapped[str] = mapped_column(ForeignKey("records.id"), primary_key=True)
    component: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(32))
    media_type: Mapped[str] = mapped_column(String(64))
    content_bytes: Mapped[int]
    sealed_bytes: Mapped[int]
    sealed_blake3: Mapped[bytes] = mapped_column(LargeBinary)
    copies: Mapped[int]


class IndexTokenRow(Base):
    """HMAC of a searchable value under the bucket's index key."""

    __tablename__ = "index_tokens"
    __table_args__ = (postgresql_check("token", "octet_length(token) = 16"),)

    token: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # 16 bytes
    record_id: Mapped[str] = mapped_column(ForeignKey("records.id"), primary_key=True, index=True)
