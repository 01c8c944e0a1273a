"""Persons and what they may do where. Names are not here: they are in sealed parts of events."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.tables.base import Base, Instant


class PersonRow(Base):
    """A person by staff number."""

    __tablename__ = "persons"

    number: Mapped[str] = mapped_column(String(32), primary_key=True)
    added_at: Mapped[datetime] = mapped_column(Instant)


class GrantRow(Base):
    """A role given to a person in one contract."""

    __tablename__ = "grants"

    person_number: Mapped[str] = mapped_column(ForeignKey("persons.number"), primary_key=True)
    contract_id: Mapped[str] = mapped_column(ForeignKey("contracts.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(64), primary_key=True)
    granted_at: Mapped[datetime] = mapped_column(Instant)
