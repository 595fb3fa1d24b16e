"""Commands that keep the store: backup, restore, retention."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from gateway.cli.environment import audit_key, settings
from gateway.cli.recorded import recorder
from gateway.config import Settings
from gateway.store.audit.retention import purge_audit
from gateway.store.backup import Manifest, backup, verify
from gateway.store.database import Database, now_micros
from gateway.store.files import Files
from gateway.store.purge import Retention, due, purge
from gateway.store.restore import restore

_FILE = click.Path(dir_okay=False, path_type=Path)


def _database(given: Settings) -> Database:
    given.data.mkdir(parents=True, exist_ok=True)
    return Database(given.database_url)


def _tell(manifest: Manifest, done: str) -> None:
    tables = len(manifest.tables)
    click.echo(
        f"{done}: {manifest.rows} rows of {tables} tables, {manifest.files.count} files,"
        f" {len(manifest.members) - tables} journals"
    )


@click.command("backup")
@click.argument("file", type=_FILE)
@click.option("--verify", "check_only", is_flag=True, help="Only read FILE and check it.")
def backup_command(file: Path, check_only: bool) -> None:
    """Write everything into FILE (a tar), in one consistent view, while the gateway runs."""
    if check_only:
        _tell(verify(file), "sound")
        return
    given = settings()
    with closing(_database(given)) as database:
        files = Files(given.data / "files")
        with recorder(given, database) as kept:
            kept.record("backup", file.name)  # before anything leaves
        _tell(backup(database, files, given.data / "audit", file), "written and verified")


@click.command("restore")
@click.argument("file", type=_FILE)
def restore_command(file: Path) -> None:
    """Put back FILE into an empty database and data folder; verified before and after."""
    given = settings()
    with closing(_database(given)) as database:
        files = Files(given.data / "files")
        manifest = restore(database, files, given.data / "audit", file)
        with recorder(given, database) as kept:
            kept.record("restore", file.name)
        _tell(manifest, "restored")


@click.command("purge")
@click.option("--dry-run", is_flag=True, help="Only say how many.")
def purge_command(dry_run: bool) -> None:
    """Empty the bytes of messages older than `retention_days`; workers do it every hour."""
    given = settings()
    retention = Retention(given.retention_days, given.refused_retention_days)
    with closing(_database(given)) as database:
        if dry_run:
            found = due(database, retention, now_micros())
        else:
            with recorder(given, database) as kept, kept.acting("purge", "message"):
                found = purge(database, retention, now_micros(), lambda: False)
            days, key = given.audit_retention_days, audit_key(given)
            purge_audit(database, given.data / "audit", days, now_micros(), key)
    said = "would be emptied" if dry_run else "emptied"
    click.echo(f"{said}: {found.filed} filed, {found.refused} refused or repeated")
