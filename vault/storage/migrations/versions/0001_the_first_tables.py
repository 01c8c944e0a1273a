"""the first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "ledgers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("contract_id", sa.String(length=64), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("vkey", sa.Text(), nullable=False),
        sa.Column("signing_key_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("compact_range", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'closed')", name=op.f("ck_ledgers_state")),
        sa.CheckConstraint("size >= 0", name=op.f("ck_ledgers_size")),
        sa.PrimaryKeyConstraint("id", name="pk_ledgers"),
        sa.UniqueConstraint("origin", name="uq_ledgers_origin"),
    )
    op.create_table(
        "persons",
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_persons"),
    )
    op.create_table(
        "scrubs",
        sa.Column("contract_id", sa.String(length=64), nullable=False),
        sa.Column("last_record_id", sa.String(length=36), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("checked_count", sa.BigInteger(), nullable=False),
        sa.Column("damaged_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("contract_id", name="pk_scrubs"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("ledger_id", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["ledger_id"], ["ledgers.id"], name="fk_checkpoints_ledger_id"),
        sa.PrimaryKeyConstraint("ledger_id", "size", name="pk_checkpoints"),
    )
    op.create_table(
        "contracts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("ledger_id", sa.String(length=64), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["ledger_id"], ["ledgers.id"], name="fk_contracts_ledger_id"),
        sa.PrimaryKeyConstraint("id", name="pk_contracts"),
    )
    op.create_table(
        "events",
        sa.Column("ledger_id", sa.String(length=64), nullable=False),
        sa.Column("entry_index", sa.BigInteger(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["ledger_id"], ["ledgers.id"], name="fk_events_ledger_id"),
        sa.PrimaryKeyConstraint("ledger_id", "entry_index", name="pk_events"),
    )
    op.create_table(
        "tiles",
        sa.Column("ledger_id", sa.String(length=64), nullable=False),
        sa.Column("level", sa.BigInteger(), nullable=False),
        sa.Column("tile_index", sa.BigInteger(), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["ledger_id"], ["ledgers.id"], name="fk_tiles_ledger_id"),
        sa.PrimaryKeyConstraint("ledger_id", "level", "tile_index", name="pk_tiles"),
    )
    op.create_table(
        "buckets",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("contract_id", sa.String(length=64), nullable=False),
        sa.Column("class_id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("key_id", sa.String(length=32), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("private_wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("index_wrapped", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("state IN ('open', 'closed', 'destroying', 'destroyed')", name=op.f("ck_buckets_state")),
        sa.ForeignKeyConstraint(["contract_id"], ["contracts.id"], name="fk_buckets_contract_id"),
        sa.PrimaryKeyConstraint("id", name="pk_buckets"),
        sa.UniqueConstraint(
            "contract_id", "class_id", "scope", "generation", name="uq_buckets_contract_id_class_id_scope_generation"
        ),
        sa.UniqueConstraint("key_id", name="uq_buckets_key_id"),
    )
    op.create_table(
        "grants",
        sa.Column("person_number", sa.String(length=32), nullable=False),
        sa.Column("contract_id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["contract_id"], ["contracts.id"], name="fk_grants_contract_id"),
        sa.ForeignKeyConstraint(["person_number"], ["persons.number"], name="fk_grants_person_number"),
        sa.PrimaryKeyConstraint("person_number", "contract_id", "role", name="pk_grants"),
    )
    op.create_table(
        "envelopes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("bucket_id", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["bucket_id"], ["buckets.id"], name="fk_envelopes_bucket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_envelopes"),
    )
    op.create_index("ix_envelopes_bucket_id", "envelopes", ["bucket_id"], unique=False)
    op.create_table(
        "event_parts",
        sa.Column("ledger_id", sa.String(length=64), nullable=False),
        sa.Column("entry_index", sa.BigInteger(), nullable=False),
        sa.Column("envelope_id", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["envelope_id"], ["envelopes.id"], name="fk_event_parts_envelope_id"),
        sa.ForeignKeyConstraint(
            ["ledger_id", "entry_index"],
            ["events.ledger_id", "events.entry_index"],
            name="fk_event_parts_ledger_id_entry_index",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("ledger_id", "entry_index", name="pk_event_parts"),
    )
    op.create_table(
        "records",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("contract_id", sa.String(length=64), nullable=False),
        sa.Column("class_id", sa.String(length=64), nullable=False),
        sa.Column("bucket_id", sa.String(length=32), nullable=False),
        sa.Column("ledger_id", sa.String(length=64), nullable=False),
        sa.Column("entry_index", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("trigger_date", sa.Date(), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=True),
        sa.Column("station", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("title_code", sa.String(length=64), nullable=True),
        sa.Column("deposited_at", sa.BigInteger(), nullable=False),
        sa.Column("envelope_id", sa.String(length=32), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_metadata", sa.LargeBinary(), nullable=False),
        sa.Column("is_indexed", sa.Boolean(), nullable=False),
        sa.CheckConstraint("status IN ('kept', 'quarantined')", name=op.f("ck_records_status")),
        sa.CheckConstraint("started_at < ended_at", name=op.f("ck_records_times")),
        sa.ForeignKeyConstraint(["bucket_id"], ["buckets.id"], name="fk_records_bucket_id"),
        sa.ForeignKeyConstraint(["contract_id"], ["contracts.id"], name="fk_records_contract_id"),
        sa.ForeignKeyConstraint(["envelope_id"], ["envelopes.id"], name="fk_records_envelope_id"),
        sa.ForeignKeyConstraint(
            ["ledger_id", "entry_index"],
            ["events.ledger_id", "events.entry_index"],
            name="fk_records_ledger_id_entry_index",
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
        sa.UniqueConstraint("ledger_id", "entry_index", name="uq_records_ledger_id_entry_index"),
    )
    op.create_index("ix_records_bucket", "records", ["bucket_id"], unique=False)
    op.create_index("ix_records_class", "records", ["contract_id", "class_id", "ended_at", "id"], unique=False)
    op.create_table(
        "index_tokens",
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_index_tokens_record_id"),
        sa.PrimaryKeyConstraint("token", "record_id", name="pk_index_tokens"),
    )
    op.create_index("ix_index_tokens_record_id", "index_tokens", ["record_id"], unique=False)
    op.create_table(
        "objects",
        sa.Column("record_id", sa.String(length=36), nullable=False),
        sa.Column("component", sa.String(length=32), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("media_type", sa.String(length=64), nullable=False),
        sa.Column("content_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sealed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sealed_blake3", sa.LargeBinary(), nullable=False),
        sa.Column("copies", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_objects_record_id"),
        sa.PrimaryKeyConstraint("record_id", "component", "version", name="pk_objects"),
        sa.UniqueConstraint("name", name="uq_objects_name"),
    )
