"""The ledgers: their heads, entries, sealed event parts, tiles and every checkpoint ever signed."""

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.tables.base import Base, postgresql_check


class LedgerRow(Base):
    """One append-only log: the operator's, or one of a contract (the newest is open, older ones closed by recovery)."""

    __tablename__ = "ledgers"
    __table_args__ = (
        UniqueConstraint("origin"),
        CheckConstraint("state IN ('open', 'closed')", name="state"),
        CheckConstraint("size >= 0", name="size"),
        postgresql_check("compact_range", "octet_length(compact_range) % 32 = 0"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    contract_id: Mapped[str | None] = mapped_column(String(64))  # null: the operator's
    origin: Mapped[str] = mapped_column(Text)
    vkey: Mapped[str] = mapped_column(Text)
    signing_key_id: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(8))
    size: Mapped[int]  # entries
    compact_range: Mapped[bytes] = mapped_column(LargeBinary)  # 32 bytes per complete subtree, largest first


class EventRow(Base):
    """One ledger entry: the canonical JSON whose RFC 6962 leaf is in the tree."""

    __tablename__ = "events"
    __table_args__ = (
        postgresql_check("entry_index", "entry_index >= 0"),
        postgresql_check("entry", "octet_length(entry) BETWEEN 1 AND 65535"),
    )

    ledger_id: Mapped[str] = mapped_column(ForeignKey("ledgers.id"), primary_key=True)
    entry_index: Mapped[int] = mapped_column(primary_key=True)  # zero-based
    entry: Mapped[bytes] = mapped_column(LargeBinary)  # at most 65,535 bytes


class EventPartRow(Base):
    """The sealed part of an event: what may point to a person. The entry holds its salted commitment."""

    __tablename__ = "event_parts"
    __table_args__ = (
        ForeignKeyConstraint(
            # Entries are written last, in one statement for the whole commit.
            ["ledger_id", "entry_index"],
            ["events.ledger_id", "events.entry_index"],
            deferrable=True,
            initially="DEFERRED",
        ),
    )

    ledger_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    entry_index: Mapped[int] = mapped_column(primary_key=True)
    envelope_id: Mapped[str] = mapped_column(ForeignKey("envelopes.id"))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class TileRow(Base):
    """A hash tile of level 1 or more, growing to 256 hashes. Level 0 is derived from the entries."""

    __tablename__ = "tiles"
    __table_args__ = (
        postgresql_check(
            "hashes", "level > 0 AND octet_length(hashes) % 32 = 0 AND octet_length(hashes) BETWEEN 32 AND 8192"
        ),
    )

    ledger_id: Mapped[str] = mapped_column(ForeignKey("ledgers.id"), primary_key=True)
    level: Mapped[int] = mapped_column(primary_key=True)
    tile_index: Mapped[int] = mapped_column(primary_key=True)
    hashes: Mapped[bytes] = mapped_column(LargeBinary)


class CheckpointRow(Base):
    """A signed head: one per commit, so that every receipt can be given again byte for byte."""

    __tablename__ = "checkpoints"
    __table_args__ = (postgresql_check("size", "size > 0"),)

    ledger_id: Mapped[str] = mapped_column(ForeignKey("ledgers.id"), primary_key=True)
    size: Mapped[int] = mapped_column(primary_key=True)  # entries
    note: Mapped[str] = mapped_column(Text)
