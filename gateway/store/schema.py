"""The schema, by Alembic: bring a database up to date, or say what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, Table, inspect

from gateway.errors import InvalidSetting
from gateway.store.database import Database
from gateway.store.tables import metadata

_FOLDER = Path(__file__).with_name("migrations")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config


def upgrade(database: Database, to: str = "head") -> None:
    """Apply every migration up to a revision, in one transaction; safe to run twice at once."""
    config = _config()
    with database.write() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7046029254386353131)")
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def revision(connection: Connection) -> str:
    """Return the revision of the schema, empty when there is none."""
    # Alembic's own way to ask logs two lines each time.
    if not inspect(connection).has_table("alembic_version"):
        return ""
    found: str | None = connection.exec_driver_sql(
        "SELECT version_num FROM alembic_version"
    ).scalar()
    return found or ""


def revisions() -> set[str]:
    """Return every revision that this release knows."""
    return {one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions()}


def tables(connection: Connection) -> dict[str, Table]:
    """Return the tables as the database has them, by name, those that others point to first."""
    found = MetaData()
    found.reflect(connection)
    return {one.name: one for one in found.sorted_tables if one.name != "alembic_version"}


def current(database: Database) -> bool:
    """Whether the database has the schema that this release needs."""
    with database.read() as connection:
        head = ScriptDirectory.from_config(_config()).get_current_head()
        return revision(connection) == head


def check_current(database: Database) -> None:
    """Raise InvalidSetting, with what to do, unless the schema is what this release needs."""
    if not current(database):
        raise InvalidSetting("the database needs `gateway db upgrade`", where="database")


def differences(database: Database) -> list[str]:
    """Describe how the database differs from the tables in code; empty when it does not."""
    with database.read() as connection:
        context = MigrationContext.configure(connection)
        return [str(change[0]) for change in compare_metadata(context, metadata)]
