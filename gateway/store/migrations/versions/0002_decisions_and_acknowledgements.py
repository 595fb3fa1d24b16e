"""Decisions about parts, application acknowledgements, tallies of the doors, purging."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OPEN = sa.text("ready_at > 0")
_OWED = sa.text("application_wanted <> ''")


def upgrade() -> None:
    for column in (
        sa.Column("application_wanted", sa.String(length=2), server_default="", nullable=False,
                  comment="MSH-16 (0155) while an application acknowledgement is owed: AL, ER, SU"),
        sa.Column("back_load", sa.Boolean(), server_default=sa.false(), nullable=False,
                  comment="history: filed, but nobody is told"),
        sa.Column("purged_at", sa.BigInteger(), nullable=True,
                  comment="raw was emptied by the retention rule"),
    ):
        op.add_column("message", column)
    op.create_index("ix_message_owed", "message", ["source", "key"], unique=False,
                    sqlite_where=_OWED, postgresql_where=_OWED)
    op.add_column("part", sa.Column("urgency", sa.String(), server_default="routine", nullable=False,
                                    comment="stat, urgent, routine: when a held part is overdue"))
    op.add_column("part", sa.Column("alerted_at", sa.BigInteger(), nullable=True,
                                    comment="when its age was last reported"))
    op.add_column("part", sa.Column("crashes", sa.Integer(), server_default="0", nullable=False,
                                    comment="workers that were lost with it in hand"))
    op.create_index("ix_message_counts", "message",
                    ["source", "sender", "state", "answer", "control_id_reused", "key"],
                    unique=False)
    op.create_index("ix_message_unpurged", "message", ["received_at"], unique=False,
                    sqlite_where=sa.text("purged_at IS NULL"),
                    postgresql_where=sa.text("purged_at IS NULL"))
    op.create_index("ix_edition_part", "edition", ["part_key"], unique=False)
    op.create_index("ix_part_changed", "part", ["changed_at", "key"], unique=False)
    op.create_index("ix_part_open", "part", ["key"], unique=False,
                    sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.add_column("edition", sa.Column("document", sa.Boolean(), server_default=sa.false(),
                                       nullable=False, comment="it came as a document (MDM)"))
    op.create_index("ix_identity_role", "identity", ["role"], unique=False)
    _create_part_report()
    _create_decision()
    _create_tally()


def _create_part_report() -> None:
    op.create_table(
        "part_report",
        sa.Column("report", sa.String(), nullable=False, comment="laboratory, line feed, number"),
        sa.Column("part_key", _key(), nullable=False),
        sa.ForeignKeyConstraint(["part_key"], ["part.key"], name=op.f("fk_part_report_part_key")),
        sa.PrimaryKeyConstraint("report", "part_key", name=op.f("pk_part_report")),
        comment="reports that a held part names: what comes later for them waits behind it",
    )
    op.create_index(op.f("ix_part_report_part_key"), "part_report", ["part_key"], unique=False)


def _create_decision() -> None:
    op.create_table(
        "decision",
        sa.Column("key", _key(), autoincrement=True, nullable=False),
        sa.Column("part_key", _key(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False,
                  comment="release, replay, propose, reject, unmerge"),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("digest", sa.String(length=64), server_default="", nullable=False,
                  comment="of the change that was proposed: a second person confirms just that"),
        sa.ForeignKeyConstraint(["part_key"], ["part.key"], name=op.f("fk_decision_part_key")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_decision")),
        comment="what a named person decided about a part, and why; never changed",
    )
    op.create_index(op.f("ix_decision_part_key"), "decision", ["part_key"], unique=False)


def _create_tally() -> None:
    op.create_table(
        "tally",
        sa.Column("door", sa.String(), nullable=False, comment="one run of one process"),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False, comment="complete frames"),
        sa.Column("positive", sa.BigInteger(), nullable=False, comment="answered AA or CA"),
        sa.Column("negative", sa.BigInteger(), nullable=False,
                  comment="answered AE, AR, CE or CR"),
        sa.Column("fragments", sa.BigInteger(), nullable=False, comment="frames that never ended"),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("door", "source", name=op.f("pk_tally")),
        comment="what each door counted: received = positive + negative + open",
    )


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
