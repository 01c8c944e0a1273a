"""Buckets and the envelopes sealed to them. Disposal keys are not here: they live only in the key store."""

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vault.storage.tables.base import Base, postgresql_check


class BucketRow(Base):
    """Everything of one class that dies together: (contract, class, scope, generation), with its keys' outer halves."""

    __tablename__ = "buckets"
    __table_args__ = (
        UniqueConstraint("contract_id", "class_id", "scope", "generation"),
        UniqueConstraint("key_id"),
        CheckConstraint("state IN ('open', 'closed', 'destroying', 'destroyed')", name="state"),
        postgresql_check("public_key", "octet_length(public_key) = 32"),
        postgresql_check("private_wrapped", "octet_length(private_wrapped) = 40"),
        postgresql_check("index_wrapped", "octet_length(index_wrapped) = 40"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    contract_id: Mapped[str] = mapped_column(ForeignKey("contracts.id"))
    class_id: Mapped[str] = mapped_column(String(64))
    scope: Mapped[str] = mapped_column(String(64))  # disposal day "2031-04-01", or "trigger:contract-completed"
    generation: Mapped[int]
    state: Mapped[str] = mapped_column(String(10))
    key_id: Mapped[str] = mapped_column(String(32))  # of the disposal key, in the key store
    public_key: Mapped[bytes] = mapped_column(LargeBinary)  # X25519, 32 bytes
    signature: Mapped[bytes] = mapped_column(LargeBinary)  # the ledger's, over the public half
    private_wrapped: Mapped[bytes] = mapped_column(LargeBinary)  # AES-KWP under the disposal key, 40 bytes
    index_wrapped: Mapped[bytes] = mapped_column(LargeBinary)  # AES-KWP under the disposal key, 40 bytes


class EnvelopeRow(Base):
    """A wrapping key sealed to a bucket's public half by HPKE; it wraps the data keys of one commit."""

    __tablename__ = "envelopes"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    bucket_id: Mapped[str] = mapped_column(ForeignKey("buckets.id"), index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)  # HPKE encapsulated key and ciphertext, 80 bytes
