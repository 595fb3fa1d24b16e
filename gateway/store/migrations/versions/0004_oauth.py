"""What people allow clients: authorizations, codes, refresh tokens, launches, kinds of clients."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("kind", sa.String(), server_default="asymmetric", nullable=False,
                  comment="public, symmetric, asymmetric: how it proves who it is"),
        sa.Column("jwks_uri", sa.String(), server_default="", nullable=False),
        sa.Column("secret_digest", sa.String(length=64), server_default="", nullable=False),
        sa.Column("grant_types", sa.String(), server_default="client_credentials", nullable=False),
        sa.Column("redirect_uris", sa.Text(), server_default="", nullable=False,
                  comment="space separated"),
        sa.Column("launch_url", sa.String(), server_default="", nullable=False),
        sa.Column("boards", sa.String(), server_default="", nullable=False,
                  comment="codes, space separated"),
        sa.Column("owner", sa.String(), server_default="", nullable=False,
                  comment="who operates it"),
        sa.Column("dpop", sa.Boolean(), server_default=sa.false(), nullable=False,
                  comment="its tokens are always bound to a key"),
        sa.Column("registered_by", sa.String(), server_default="", nullable=False,
                  comment="empty: an administrator; else who registered it over HTTP"),
    ):
        op.add_column("oauth_client", column)
    _create_authorization()
    _create_code()
    _create_refresh()
    _create_launch()
    _extend_token()
    # Tokens live for minutes; every secret is derived from the key folder from now on.
    op.drop_table("secret")


def _create_authorization() -> None:
    op.create_table(
        "oauth_authorization",
        sa.Column("id", sa.String(), nullable=False, comment="random: the family of its tokens"),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False, comment="Person.id"),
        sa.Column("scope", sa.Text(), nullable=False, comment="what the person granted"),
        sa.Column("context", sa.Text(), nullable=False,
                  comment="JSON: launch context of the token answer"),
        sa.Column("nonce", sa.String(), nullable=False,
                  comment="of OpenID Connect; may be empty"),
        sa.Column("methods", sa.String(), nullable=False,
                  comment="amr of the sign-in, space separated"),
        sa.Column("authenticated_at", sa.BigInteger(), nullable=False),
        sa.Column("key_thumbprint", sa.String(), nullable=False,
                  comment="DPoP key it is bound to, or empty"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False,
                  comment="no token lives longer"),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["oauth_client.id"],
                                name=op.f("fk_oauth_authorization_client_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_authorization")),
        comment="what a person allowed a client; a code, refresh and access tokens descend from it",
    )
    for column in ("client_id", "person", "expires_at"):
        op.create_index(op.f(f"ix_oauth_authorization_{column}"), "oauth_authorization", [column],
                        unique=False)


def _create_code() -> None:
    op.create_table(
        "oauth_code",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("authorization_id", sa.String(), nullable=False),
        sa.Column("redirect_uri", sa.Text(), nullable=False),
        sa.Column("code_challenge", sa.String(), nullable=False, comment="S256"),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["authorization_id"], ["oauth_authorization.id"],
                                name=op.f("fk_oauth_code_authorization_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_code")),
        comment="authorization codes, good once",
    )
    op.create_index(op.f("ix_oauth_code_authorization_id"), "oauth_code", ["authorization_id"],
                    unique=False)


def _create_refresh() -> None:
    op.create_table(
        "oauth_refresh",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("authorization_id", sa.String(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["authorization_id"], ["oauth_authorization.id"],
                                name=op.f("fk_oauth_refresh_authorization_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_refresh")),
        comment="refresh tokens, good once: using one gives the next",
    )
    op.create_index(op.f("ix_oauth_refresh_authorization_id"), "oauth_refresh",
                    ["authorization_id"], unique=False)


def _create_launch() -> None:
    op.create_table(
        "oauth_launch",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False, comment="the app that may use it"),
        sa.Column("person", sa.String(), nullable=False,
                  comment="Person.id; empty: whoever signs in"),
        sa.Column("context", sa.Text(), nullable=False,
                  comment="JSON: patient, encounter, intent …"),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["oauth_client.id"],
                                name=op.f("fk_oauth_launch_client_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_oauth_launch")),
        comment="launch handles that an EHR asked for, good once",
    )
    for column in ("client_id", "expires_at"):
        op.create_index(op.f(f"ix_oauth_launch_{column}"), "oauth_launch", [column], unique=False)


def _extend_token() -> None:
    with op.batch_alter_table("oauth_token") as table:
        table.add_column(sa.Column("authorization_id", sa.String(), nullable=True,
                                   comment="null: the client speaks for itself"))
        table.add_column(sa.Column("key_thumbprint", sa.String(), server_default="",
                                   nullable=False, comment="DPoP key it is bound to"))
        table.create_foreign_key("fk_oauth_token_authorization_id", "oauth_authorization",
                                 ["authorization_id"], ["id"])
        table.create_index("ix_oauth_token_authorization_id", ["authorization_id"], unique=False)
