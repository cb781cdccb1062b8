"""Alembic's entry: runs the versions on the connection that store/migrate.py hands over. No offline mode, no .ini."""

from __future__ import annotations

from alembic import context

from tieout.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="schema_version",
    version_table_schema="tieout",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
