"""Runs migrations on the connection that `vault.storage.database.migrate` hands over."""

from alembic import context

from vault.storage.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
