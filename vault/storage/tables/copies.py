"""Where copies of objects stand that are not simply in place: those in an engine, and those still owed to a store."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.tables.base import Base, Instant, postgresql_check

_UNEXTENDED = text("locked_until < lock_wanted")
_OWED = text("state = 'owed'")


class CopyRow(Base):
    """One copy of an object in one store. A copy in a folder has no row: its name alone is its address."""

    __tablename__ = "copies"
    __table_args__ = (
        CheckConstraint("state IN ('kept', 'owed')", name="state"),
        postgresql_check("store", "store >= 0"),
        Index("ix_copies_unextended", "written_at", sqlite_where=_UNEXTENDED, postgresql_where=_UNEXTENDED),
        Index("ix_copies_owed", "written_at", sqlite_where=_OWED, postgresql_where=_OWED),
    )

    object_name: Mapped[str] = mapped_column(ForeignKey("objects.name"), primary_key=True)
    store: Mapped[int] = mapped_column(primary_key=True)  # its place among the settings' stores, from 0
    state: Mapped[str] = mapped_column(String(4))  # "owed": the store was away, the copy is still to be made
    version: Mapped[str | None] = mapped_column(String(1024))  # the engine's version id: part of the address
    written_at: Mapped[datetime] = mapped_column(Instant)
    locked_until: Mapped[datetime | None] = mapped_column(Instant)  # no credential deletes it before
    lock_wanted: Mapped[datetime | None] = mapped_column(Instant)  # until when it is to be locked: the disposal day
