"""The vault's certificate authority, the stations, and every certificate that was ever issued to one."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.tables.base import Base, Instant


class AuthorityRow(Base):
    """The authority; its private key is in the key store."""

    __tablename__ = "authorities"

    key_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    certificate: Mapped[bytes] = mapped_column(LargeBinary)  # X.509, DER
    created_at: Mapped[datetime] = mapped_column(Instant)


class StationRow(Base):
    """A machine that writes, for one contract."""

    __tablename__ = "stations"
    __table_args__ = (CheckConstraint("kind IN ('counter', 'scanner', 'recorder', 'exchange')", name="kind"),)

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    kind: Mapped[str] = mapped_column(String(8))
    contract_id: Mapped[str] = mapped_column(ForeignKey("contracts.id"))
    enrolled_at: Mapped[datetime] = mapped_column(Instant)


class CertificateRow(Base):
    """A certificate of a station; only one that is here and not revoked is let in."""

    __tablename__ = "certificates"

    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)  # hex SHA-256 of the DER
    station_name: Mapped[str] = mapped_column(ForeignKey("stations.name"), index=True)
    issued_at: Mapped[datetime] = mapped_column(Instant)
    valid_until: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
