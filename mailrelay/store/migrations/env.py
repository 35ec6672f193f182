"""Run by Alembic. Migrates over the connection that `mailrelay.store.migration` opened, inside its transaction."""

from alembic import context

from mailrelay.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
