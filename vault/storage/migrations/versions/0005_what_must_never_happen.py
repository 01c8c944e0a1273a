"""what must never happen, in PostgreSQL: a ledger that goes back, entries too long, keys of the wrong length.

SQLite is left as it is (decision 0009): whoever can write to its file can drop what stands in it. PostgreSQL keeps the
service's role from these statements by rights (`vault/storage/rights.py`); the triggers keep its owner from a mistake.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BOUNDS = {
    "buckets": {
        "public_key": "octet_length(public_key) = 32",
        "private_wrapped": "octet_length(private_wrapped) = 40",
        "index_wrapped": "octet_length(index_wrapped) = 40",
    },
    "checkpoints": {"size": "size > 0"},
    "copies": {"store": "store >= 0"},
    "events": {"entry_index": "entry_index >= 0", "entry": "octet_length(entry) BETWEEN 1 AND 65535"},
    "index_tokens": {"token": "octet_length(token) = 16"},
    "ledgers": {"compact_range": "octet_length(compact_range) % 32 = 0"},
    "objects": {
        "bytes": "content_bytes >= 0 AND sealed_bytes >= 0",
        "sealed_blake3": "octet_length(sealed_blake3) = 32",
    },
    "records": {"lines_root": "octet_length(lines_root) = 32"},
    "tiles": {"hashes": "level > 0 AND octet_length(hashes) % 32 = 0 AND octet_length(hashes) BETWEEN 32 AND 8192"},
}
_REFUSE = """
CREATE FUNCTION kura_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$
"""
_FORWARD = """
CREATE FUNCTION kura_forward_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.size < OLD.size OR (OLD.state = 'closed' AND (NEW.state <> 'closed' OR NEW.size <> OLD.size))
        OR (NEW.id, NEW.origin, NEW.vkey, NEW.signing_key_id) <> (OLD.id, OLD.origin, OLD.vkey, OLD.signing_key_id)
        OR NEW.contract_id IS DISTINCT FROM OLD.contract_id THEN
        RAISE EXCEPTION 'a ledger only goes forward' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    """Apply."""
    if op.get_context().dialect.name != "postgresql":
        return
    for table, checks in _BOUNDS.items():
        for name, condition in checks.items():
            op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, sa.text(condition))
    op.execute(_REFUSE)
    op.execute(_FORWARD)
    for table, acts in {"events": "UPDATE OR DELETE", "checkpoints": "UPDATE OR DELETE", "ledgers": "DELETE"}.items():
        op.execute(
            f"CREATE TRIGGER kura_kept BEFORE {acts} ON {table} FOR EACH ROW EXECUTE FUNCTION kura_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER kura_whole BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION kura_append_only()"
        )
    op.execute("CREATE TRIGGER kura_forward BEFORE UPDATE ON ledgers FOR EACH ROW EXECUTE FUNCTION kura_forward_only()")
