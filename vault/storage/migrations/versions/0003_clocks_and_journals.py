"""clocks that were off, and the lines of journals."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("records", sa.Column("clock_offset_s", sa.BigInteger(), nullable=True))
    op.add_column("records", sa.Column("lines", sa.BigInteger(), nullable=True))
    op.add_column("records", sa.Column("lines_root", sa.LargeBinary(), nullable=True))
