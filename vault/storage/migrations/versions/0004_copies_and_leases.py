"""copies in engines, and leases of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "copies",
        sa.Column("object_name", sa.String(length=32), nullable=False),
        sa.Column("store", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=4), nullable=False),
        sa.Column("version", sa.String(length=1024), nullable=True),
        sa.Column("written_at", sa.BigInteger(), nullable=False),
        sa.Column("locked_until", sa.BigInteger(), nullable=True),
        sa.Column("lock_wanted", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state IN ('kept', 'owed')", name=op.f("ck_copies_state")),
        sa.ForeignKeyConstraint(["object_name"], ["objects.name"], name="fk_copies_object_name"),
        sa.PrimaryKeyConstraint("object_name", "store", name="pk_copies"),
    )
    for name, condition in (("unextended", "locked_until < lock_wanted"), ("owed", "state = 'owed'")):
        op.create_index(
            f"ix_copies_{name}",
            "copies",
            ["written_at"],
            unique=False,
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )
    op.create_table(
        "leases",
        sa.Column("job", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("job", name="pk_leases"),
    )
