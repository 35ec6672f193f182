"""The first tables: mail, books, document log, dispatches, receipts, IMAP ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "book_counter",
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("year", _BIG, nullable=False),
        sa.Column("last_seq", _BIG, nullable=False),
        sa.CheckConstraint("book = 'outgoing' OR book = 'incoming'", name=op.f("ck_book_counter_book")),
        sa.CheckConstraint("last_seq > 0", name=op.f("ck_book_counter_last_seq")),
        sa.PrimaryKeyConstraint("agency", "book", "year", name=op.f("pk_book_counter")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_event",
        sa.Column("event_id", _BIG, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mail_id", sa.Text(), nullable=True),
        sa.Column("agency", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("text_fold", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind = 'received' OR kind = 'refused' OR kind = 'judged' OR kind = 'registered'"
            " OR kind = 'repeated' OR kind = 'held' OR kind = 'released' OR kind = 'returned'"
            " OR kind = 'delivered' OR kind = 'relayed' OR kind = 'deferred' OR kind = 'failed'"
            " OR kind = 'withdrawn' OR kind = 'accepted' OR kind = 'receipt' OR kind = 'configured'",
            name=op.f("ck_log_event_kind"),
        ),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_log_event")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("log_event", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_log_event_agency_event_id"),
            ["agency", "event_id"],
            unique=False,
            sqlite_where=sa.text("agency IS NOT NULL"),
            postgresql_where=sa.text("agency IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_log_event_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_log_event_kind_event_id"), ["kind", "event_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_log_event_mail_id_event_id"), ["mail_id", "event_id"], unique=False)

    op.create_table(
        "message",
        sa.Column("mail_id", sa.Text(), nullable=False),
        sa.Column("received_at", _BIG, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", _BIG, nullable=False),
        sa.Column("door", sa.Text(), nullable=False),
        sa.Column("message_class", sa.Text(), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("repeat_key", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("attachments", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("warnings", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("rendering", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "door = 'mx' OR door = 'submission' OR door = 'submissions' OR door = 'lmtp' OR door = 'imap'",
            name=op.f("ck_message_door"),
        ),
        sa.CheckConstraint(
            "message_class = 'document' OR message_class = 'exchange' OR message_class = 'letter'"
            " OR message_class = 'receipt'",
            name=op.f("ck_message_message_class"),
        ),
        sa.CheckConstraint(
            "state = 'pending' OR state = 'held' OR state = 'moving' OR state = 'done'"
            " OR state = 'returned' OR state = 'rejected'",
            name=op.f("ck_message_state"),
        ),
        sa.CheckConstraint("length(digest) = 64", name=op.f("ck_message_digest")),
        sa.CheckConstraint("length(mail_id) = 26", name=op.f("ck_message_mail_id")),
        sa.CheckConstraint("size >= 0", name=op.f("ck_message_size")),
        sa.PrimaryKeyConstraint("mail_id", name=op.f("pk_message")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_message_digest"), ["digest"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_message_message_id"),
            ["message_id"],
            unique=False,
            sqlite_where=sa.text("message_id <> ''"),
            postgresql_where=sa.text("message_id <> ''"),
        )
        batch_op.create_index(
            "ix_message_open",
            ["state", "mail_id"],
            unique=False,
            sqlite_where=sa.text("state = 'pending' OR state = 'held' OR state = 'moving'"),
            postgresql_where=sa.text("state = 'pending' OR state = 'held' OR state = 'moving'"),
        )
        batch_op.create_index(
            batch_op.f("ix_message_repeat_key_received_at"),
            ["repeat_key", "received_at"],
            unique=False,
            sqlite_where=sa.text("repeat_key <> ''"),
            postgresql_where=sa.text("repeat_key <> ''"),
        )

    op.create_table(
        "poll_cursor",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("uidvalidity", _BIG, nullable=False),
        sa.Column("last_uid", _BIG, nullable=False),
        sa.Column("modseq", _BIG, nullable=False),
        sa.Column("compared_at", _BIG, nullable=False),
        sa.PrimaryKeyConstraint("account", "folder", name=op.f("pk_poll_cursor")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "login_quota",
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("suspended_until", _BIG, nullable=True),
        sa.Column("forgiven_at", _BIG, nullable=True),
        sa.PrimaryKeyConstraint("login", name=op.f("pk_login_quota")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "poll_outcome",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("uidvalidity", _BIG, nullable=False),
        sa.Column("uid", _BIG, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("mail_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("account", "folder", "uidvalidity", "uid", name=op.f("pk_poll_outcome")),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "dispatch",
        sa.Column("dispatch_id", _BIG, nullable=False),
        sa.Column("mail_id", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("notify", sa.Text(), nullable=True),
        sa.Column("orcpt", sa.Text(), nullable=True),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("urgency", _BIG, nullable=False),
        sa.Column("next_attempt_at", _BIG, nullable=False),
        sa.Column("lease_until", _BIG, nullable=True),
        sa.Column("lease_holder", sa.Text(), nullable=True),
        sa.Column("attempts", _BIG, nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("created_at", _BIG, nullable=True),
        sa.CheckConstraint("(state = 'sending') = (lease_until IS NOT NULL)", name=op.f("ck_dispatch_lease")),
        sa.CheckConstraint(
            "state = 'queued' OR state = 'sending' OR state = 'delivered' OR state = 'relayed'"
            " OR state = 'deferred' OR state = 'failed' OR state = 'withdrawn' OR state = 'held'",
            name=op.f("ck_dispatch_state"),
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_dispatch_attempts")),
        sa.CheckConstraint("urgency BETWEEN 0 AND 4", name=op.f("ck_dispatch_urgency")),
        sa.ForeignKeyConstraint(["mail_id"], ["message.mail_id"], name=op.f("fk_dispatch_mail_id_message")),
        sa.PrimaryKeyConstraint("dispatch_id", name=op.f("pk_dispatch")),
        sa.UniqueConstraint("mail_id", "recipient", name=op.f("uq_dispatch_mail_id_recipient")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("dispatch", schema=None) as batch_op:
        batch_op.create_index(
            "ix_dispatch_next",
            ["next_attempt_at"],
            unique=False,
            sqlite_where=sa.text("state IN ('queued','deferred')"),
            postgresql_where=sa.text("state IN ('queued','deferred')"),
        )
        batch_op.create_index(
            "ix_dispatch_sending",
            ["lease_until", "destination"],
            unique=False,
            sqlite_where=sa.text("state = 'sending'"),
            postgresql_where=sa.text("state = 'sending'"),
        )
        batch_op.create_index(
            "ix_dispatch_waiting",
            ["destination", "urgency", "next_attempt_at", "dispatch_id"],
            unique=False,
            sqlite_where=sa.text("state IN ('queued','deferred')"),
            postgresql_where=sa.text("state IN ('queued','deferred')"),
        )

    op.create_table(
        "receipt",
        sa.Column("receipt_id", _BIG, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mail_id", sa.Text(), nullable=False),
        sa.Column("addressee", sa.Text(), nullable=False),
        sa.Column("event_key", sa.Text(), nullable=False),
        sa.Column("created_at", _BIG, nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("notice_id", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "kind = 'sent' OR kind = 'incoming' OR kind = 'tracking' OR kind = 'returned'"
            " OR kind = 'failed' OR kind = 'delayed' OR kind = 'held' OR kind = 'decided'"
            " OR kind = 'recall' OR kind = 'status' OR kind = 'alert' OR kind = 'statement'"
            " OR kind = 'dsn'",
            name=op.f("ck_receipt_kind"),
        ),
        sa.CheckConstraint(
            "state = 'due' OR state = 'queued' OR state = 'sent' OR state = 'failed' OR state = 'suppressed'",
            name=op.f("ck_receipt_state"),
        ),
        sa.ForeignKeyConstraint(["notice_id"], ["message.mail_id"], name=op.f("fk_receipt_notice_id_message")),
        sa.PrimaryKeyConstraint("receipt_id", name=op.f("pk_receipt")),
        sa.UniqueConstraint("event_key", name=op.f("uq_receipt_event_key")),
        sa.UniqueConstraint("notice_id", name=op.f("uq_receipt_notice_id")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("receipt", schema=None) as batch_op:
        batch_op.create_index(
            "ix_receipt_due",
            ["receipt_id"],
            unique=False,
            sqlite_where=sa.text("state = 'due'"),
            postgresql_where=sa.text("state = 'due'"),
        )
        batch_op.create_index(batch_op.f("ix_receipt_mail_id"), ["mail_id"], unique=False)

    op.create_table(
        "register_entry",
        sa.Column("entry_id", _BIG, nullable=False),
        sa.Column("agency", sa.Text(), nullable=False),
        sa.Column("book", sa.Text(), nullable=False),
        sa.Column("year", _BIG, nullable=False),
        sa.Column("seq", _BIG, nullable=True),
        sa.Column("mail_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("document_key", sa.Text(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("counterpart", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("entered_at", _BIG, nullable=True),
        sa.Column("arrived_at", _BIG, nullable=True),
        sa.Column("accepted_on", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("text_fold", sa.Text(), nullable=False),
        sa.CheckConstraint("book = 'outgoing' OR book = 'incoming'", name=op.f("ck_register_entry_book")),
        sa.CheckConstraint(
            "status = 'awaiting' OR status = 'registered' OR status = '01' OR status = '02'"
            " OR status = '03' OR status = '04' OR status = '05' OR status = '06' OR status = '13'"
            " OR status = '15' OR status = '16' OR status = 'void' OR status = 'failed'",
            name=op.f("ck_register_entry_status"),
        ),
        sa.CheckConstraint("length(accepted_on) = 10", name=op.f("ck_register_entry_accepted_on")),
        sa.CheckConstraint("seq > 0", name=op.f("ck_register_entry_seq")),
        sa.CheckConstraint("year BETWEEN 1945 AND 9999", name=op.f("ck_register_entry_year")),
        sa.ForeignKeyConstraint(["mail_id"], ["message.mail_id"], name=op.f("fk_register_entry_mail_id_message")),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_register_entry")),
        sa.UniqueConstraint("agency", "book", "document_key", name=op.f("uq_register_entry_agency_book_document_key")),
        sa.UniqueConstraint("agency", "book", "year", "seq", name=op.f("uq_register_entry_agency_book_year_seq")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("register_entry", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_register_entry_agency_book_year_entry_id"),
            ["agency", "book", "year", "entry_id"],
            unique=False,
        )

    op.create_table(
        "attempt",
        sa.Column("attempt_id", _BIG, nullable=False),
        sa.Column("dispatch_id", _BIG, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "result = 'delivered' OR result = 'relayed' OR result = 'deferred' OR result = 'failed'",
            name=op.f("ck_attempt_result"),
        ),
        sa.ForeignKeyConstraint(
            ["dispatch_id"], ["dispatch.dispatch_id"], name=op.f("fk_attempt_dispatch_id_dispatch")
        ),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_attempt")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_attempt_dispatch_id_attempt_id"), ["dispatch_id", "attempt_id"], unique=False
        )

    op.create_table(
        "entry_arrival",
        sa.Column("arrival_id", _BIG, nullable=False),
        sa.Column("entry_id", _BIG, nullable=False),
        sa.Column("mail_id", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["register_entry.entry_id"], name=op.f("fk_entry_arrival_entry_id_register_entry")
        ),
        sa.ForeignKeyConstraint(["mail_id"], ["message.mail_id"], name=op.f("fk_entry_arrival_mail_id_message")),
        sa.PrimaryKeyConstraint("arrival_id", name=op.f("pk_entry_arrival")),
        sa.UniqueConstraint("mail_id", "entry_id", name=op.f("uq_entry_arrival_mail_id_entry_id")),
        sqlite_strict=True,
    )
    op.create_table(
        "entry_status",
        sa.Column("status_id", _BIG, nullable=False),
        sa.Column("entry_id", _BIG, nullable=False),
        sa.Column("at", _BIG, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "status = 'awaiting' OR status = 'registered' OR status = '01' OR status = '02'"
            " OR status = '03' OR status = '04' OR status = '05' OR status = '06' OR status = '13'"
            " OR status = '15' OR status = '16' OR status = 'void' OR status = 'failed'",
            name=op.f("ck_entry_status_status"),
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"], ["register_entry.entry_id"], name=op.f("fk_entry_status_entry_id_register_entry")
        ),
        sa.PrimaryKeyConstraint("status_id", name=op.f("pk_entry_status")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("entry_status", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_entry_status_entry_id_status_id"), ["entry_id", "status_id"], unique=False)
