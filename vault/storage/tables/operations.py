"""Where long work stands. Operational: no event covers these rows, and losing them loses only progress."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.tables.base import Base, Instant


class ScrubRow(Base):
    """How far the current fixity check has come, per contract."""

    __tablename__ = "scrubs"

    contract_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_record_id: Mapped[str] = mapped_column(String(36))  # all up to this one are checked
    started_at: Mapped[datetime] = mapped_column(Instant)
    checked_count: Mapped[int]
    damaged_count: Mapped[int]


class LeaseRow(Base):
    """Which process does a job now: of several on one database, one at a time."""

    __tablename__ = "leases"

    job: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(64))  # names the folder of its owner
    until: Mapped[datetime] = mapped_column(Instant)
