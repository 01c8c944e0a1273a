"""Contracts: one city's engagement each, with the text of its policy."""

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.tables.base import Base


class ContractRow(Base):
    """A contract that this vault holds, and the ledger it writes to now."""

    __tablename__ = "contracts"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    ledger_id: Mapped[str] = mapped_column(ForeignKey("ledgers.id"))
    policy: Mapped[str] = mapped_column(Text)  # the whole file; its SHA-256 is in the ledger
