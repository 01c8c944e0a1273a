"""stations and their certificates."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "authorities",
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("certificate", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_authorities"),
    )
    op.create_table(
        "stations",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("contract_id", sa.String(length=64), nullable=False),
        sa.Column("enrolled_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind IN ('counter', 'scanner', 'recorder', 'exchange')", name=op.f("ck_stations_kind")),
        sa.ForeignKeyConstraint(["contract_id"], ["contracts.id"], name="fk_stations_contract_id"),
        sa.PrimaryKeyConstraint("name", name="pk_stations"),
    )
    op.create_table(
        "certificates",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("station_name", sa.String(length=63), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("valid_until", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["station_name"], ["stations.name"], name="fk_certificates_station_name"),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_certificates"),
    )
    op.create_index("ix_certificates_station_name", "certificates", ["station_name"], unique=False)
    numbered = sa.text("sequence IS NOT NULL AND station LIKE 'station:%'")
    op.create_index(
        "uq_records_number",
        "records",
        ["station", "sequence"],
        unique=True,
        sqlite_where=numbered,
        postgresql_where=numbered,
    )
