"""People who sign in: roles, local accounts, sessions, failed attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_person()
    _create_local_account()
    _create_web_session()
    op.create_table(
        "sign_in_step",
        sa.Column("digest", sa.String(length=64), nullable=False,
                  comment="SHA-256 of what the cookie holds"),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment="sealed"),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sign_in_step")),
        comment="sign-ins half done: between password and code, or at the upstream provider",
    )
    op.create_index(op.f("ix_sign_in_step_expires_at"), "sign_in_step", ["expires_at"])
    op.create_table(
        "sign_in_attempt",
        sa.Column("digest", sa.String(length=64), nullable=False,
                  comment="SHA-256 of account or address"),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("blocked_until", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False, comment="then it is forgotten"),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_sign_in_attempt")),
        comment="failed attempts, counted by all processes together",
    )
    op.create_index(op.f("ix_sign_in_attempt_expires_at"), "sign_in_attempt", ["expires_at"])


def _create_person() -> None:
    op.create_table(
        "person",
        sa.Column("key", _key(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False, comment="random"),
        sa.Column("issuer", sa.String(), nullable=False,
                  comment="who vouches; `local` for our own accounts"),
        sa.Column("subject", sa.String(), nullable=False,
                  comment="the issuer's key, or the name to sign in"),
        sa.Column("name", sa.String(), nullable=False, comment="as shown to others"),
        sa.Column("active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_person")),
        sa.UniqueConstraint("id", name=op.f("uq_person_id")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_person_issuer")),
    )
    op.create_table(
        "person_role",
        sa.Column("person_key", _key(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("board", sa.String(), nullable=False,
                  comment="code of a health board; empty: none"),
        sa.Column("team", sa.String(), nullable=False, comment="empty: none"),
        sa.Column("origin", sa.String(), nullable=False,
                  comment="given by an administrator, or mapped from the issuer at each sign-in"),
        sa.ForeignKeyConstraint(["person_key"], ["person.key"],
                                name=op.f("fk_person_role_person_key")),
        sa.PrimaryKeyConstraint("person_key", "role", "board", "team", "origin",
                                name=op.f("pk_person_role")),
        comment="what a person may be here",
    )


def _create_local_account() -> None:
    op.create_table(
        "local_account",
        sa.Column("person_key", _key(), nullable=False),
        sa.Column("password", sa.String(), nullable=False, comment="Argon2id"),
        sa.Column("totp", sa.LargeBinary(), nullable=True,
                  comment="sealed secret of the authenticator; null: none"),
        sa.Column("totp_step", sa.BigInteger(), server_default="0", nullable=False,
                  comment="the newest step that was used: a code works once"),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_key"], ["person.key"],
                                name=op.f("fk_local_account_person_key")),
        sa.PrimaryKeyConstraint("person_key", name=op.f("pk_local_account")),
        comment="accounts of the gateway itself",
    )


def _create_web_session() -> None:
    op.create_table(
        "web_session",
        sa.Column("digest", sa.String(length=64), nullable=False,
                  comment="SHA-256 of what the cookie holds"),
        sa.Column("person_key", _key(), nullable=False),
        sa.Column("methods", sa.String(), nullable=False,
                  comment="amr of the sign-in, space separated"),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_key"], ["person.key"],
                                name=op.f("fk_web_session_person_key")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_web_session")),
        comment="browsers that are signed in",
    )
    op.create_index(op.f("ix_web_session_person_key"), "web_session", ["person_key"])
    op.create_index(op.f("ix_web_session_expires_at"), "web_session", ["expires_at"])


def _key() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
