"""Run by Alembic. Migrates over the connection that `mailrelay.store.migration` opened, inside its transaction."""

from alembic import context

attributes = context.config.attributes
# The tables of schema.py are handed in only where migrations are made or checked: running them needs no SQLModel.
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes.get("metadata"),
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
