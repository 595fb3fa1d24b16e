"""Patient index with history, links, families; decisions about identity; quarantine, refiling."""

import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("source", sa.String(), server_default="", nullable=False,
                  comment="who said the newest"),
        sa.Column("family_letters", sa.String(), server_default="", nullable=False,
                  comment="the family name as matching reads it"),
        sa.Column("other_names", sa.Text(), server_default="[]", nullable=False,
                  comment="JSON names beside the first: maiden names, aliases"),
        sa.Column("multiple_birth", sa.String(), server_default="", nullable=False,
                  comment="false, true, or the number of the birth"),
        sa.Column("address_since", sa.String(length=10), server_default="", nullable=False),
        sa.Column("ethnic_category", sa.String(), server_default="", nullable=False),
        sa.Column("ethnic_source", sa.String(), server_default="", nullable=False),
        sa.Column("ethnic_at", sa.BigInteger(), nullable=True, comment="when the source said so"),
        sa.Column("confidentiality", sa.String(), server_default="", nullable=False,
                  comment="v3-Confidentiality code"),
        sa.Column("provisional", sa.Boolean(), server_default=sa.false(), nullable=False,
                  comment="no national number yet"),
    ):
        op.add_column("patient", column)
    op.create_index(op.f("ix_patient_merged_into"), "patient", ["merged_into"], unique=False)
    op.create_index("ix_patient_birth_date", "patient", ["birth_date"], unique=False)
    op.create_index(op.f("ix_patient_family_letters"), "patient", ["family_letters"], unique=False)
    op.add_column("patient_identifier", sa.Column(
        "restricted", sa.Boolean(), server_default=sa.false(), nullable=False,
        comment="leads to the patient when filing, and is shown to nobody"))
    op.add_column("patient_merge", sa.Column(
        "restricted", sa.Boolean(), server_default=sa.false(), nullable=False,
        comment="not told in Patient.link"))
    op.add_column("report", sa.Column(
        "quarantined", sa.Boolean(), server_default=sa.false(), nullable=False,
        comment="whose it is is in doubt: hidden, and nothing more is filed"))
    _create_people()
    _create_decisions()
    _fill_letters()


def _create_people() -> None:
    op.create_table(
        "patient_history",
        sa.Column("key", _key(), autoincrement=True, nullable=False),
        sa.Column("patient_key", _key(), nullable=False),
        sa.Column("family", sa.String(), nullable=False),
        sa.Column("given", sa.String(), nullable=False),
        sa.Column("birth_date", sa.String(length=10), nullable=False),
        sa.Column("sex", sa.String(), nullable=False),
        sa.Column("postcode", sa.String(), nullable=False),
        sa.Column("address_since", sa.String(length=10), nullable=False),
        sa.Column("deceased", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("clock", sa.BigInteger(), nullable=False,
                  comment="from when they stood, by their source"),
        sa.Column("until", sa.BigInteger(), nullable=False,
                  comment="when they were replaced here"),
        _to("patient_history", "patient_key", "patient"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_patient_history")),
        comment="demographics that stood before",
    )
    _index("patient_history", "patient_key")
    op.create_table(
        "patient_link",
        sa.Column("key", _key(), autoincrement=True, nullable=False),
        sa.Column("one_key", _key(), nullable=False),
        sa.Column("other_key", _key(), nullable=False),
        sa.Column("part_key", _key(), nullable=False, comment="whose message said so"),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        _to("patient_link", "one_key", "patient"),
        _to("patient_link", "other_key", "patient"),
        _to("patient_link", "part_key", "part"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_patient_link")),
        comment="records of one person that stay two records (A24): see also",
    )
    _index("patient_link", "one_key")
    _index("patient_link", "other_key")
    op.create_table(
        "patient_relative",
        sa.Column("key", _key(), autoincrement=True, nullable=False),
        sa.Column("patient_key", _key(), nullable=False),
        sa.Column("relative_key", _key(), nullable=False),
        sa.Column("relation", sa.String(), nullable=False,
                  comment="what the relative is to the patient"),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        _to("patient_relative", "patient_key", "patient"),
        _to("patient_relative", "relative_key", "patient"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_patient_relative")),
        sa.UniqueConstraint("patient_key", "relative_key", "relation",
                            name=op.f("uq_patient_relative_patient_key")),
        comment="families; never told in Patient.link",
    )
    _index("patient_relative", "relative_key")


def _create_decisions() -> None:
    op.create_table(
        "identity_decision",
        sa.Column("key", _key(), autoincrement=True, nullable=False),
        sa.Column("part_key", _key(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False, comment="match, hold, create"),
        sa.Column("reason", sa.String(), nullable=False, comment="gateway.errors.Hold"),
        sa.Column("patient_key", _key(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False,
                  comment="JSON: each rule, and agree, differ or absent"),
        _to("identity_decision", "part_key", "part"),
        _to("identity_decision", "patient_key", "patient"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_identity_decision")),
        comment="who a report was taken to be about, and what spoke for and against it",
    )
    _index("identity_decision", "part_key")
    _index("identity_decision", "patient_key")
    op.create_table(
        "patient_decision",
        sa.Column("key", _key(), autoincrement=True, nullable=False),
        sa.Column("patient_key", _key(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False, comment="number, restrict"),
        sa.Column("reason", sa.String(), nullable=False),
        _to("patient_decision", "patient_key", "patient"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_patient_decision")),
        comment="what a named person decided about a patient, and why; never changed",
    )
    _index("patient_decision", "patient_key")
    op.create_table(
        "report_refile",
        sa.Column("key", _key(), autoincrement=True, nullable=False),
        sa.Column("report_key", _key(), nullable=False),
        sa.Column("from_key", _key(), nullable=False),
        sa.Column("to_key", _key(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("readers", sa.Text(), nullable=False,
                  comment="JSON: who had read it on the wrong patient"),
        _to("report_refile", "report_key", "report"),
        _to("report_refile", "from_key", "patient"),
        _to("report_refile", "to_key", "patient"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_report_refile")),
        comment="reports that were filed on the wrong patient and moved by a named person",
    )
    _index("report_refile", "report_key")


# As matching reads names.
_PLAIN = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h"}
)


def _fill_letters() -> None:
    patient = sa.table("patient", sa.column("key"), sa.column("family"), sa.column("family_letters"))
    connection = op.get_bind()
    known = connection.execute(sa.select(patient.c.key, patient.c.family)).all()
    for key, family in known:
        plain = unicodedata.normalize("NFKD", family.casefold().translate(_PLAIN))
        letters = "".join(char for char in plain if char.isalpha())
        connection.execute(
            sa.update(patient).where(patient.c.key == key).values(family_letters=letters)
        )


def _to(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.key"], name=op.f(f"fk_{table}_{column}"))


def _index(table: str, column: str) -> None:
    op.create_index(op.f(f"ix_{table}_{column}"), table, [column], unique=False)


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
