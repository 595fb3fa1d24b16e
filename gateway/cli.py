"""The `gateway` command."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

import click
import orjson

from gateway import __version__
from gateway.app import mappings_folder, open_parts, start_logging
from gateway.config import Settings, load_settings
from gateway.errors import GatewayError, InvalidSetting
from gateway.fhir.bundle import to_json
from gateway.fhir.xml import to_xml
from gateway.oauth.clients import register
from gateway.parse.er7 import field_name
from gateway.pipeline.convert import Converted, convert
from gateway.store import schema, work
from gateway.store.clients import (
    Token,
    create_client,
    find_client,
    list_clients,
    save_token,
    token_digest,
)
from gateway.store.database import Database, now_micros
from gateway.translate.mapping import load_mappings
from gateway.wire.mllp import send as send_mllp

_DEVELOPER = "development"


class _Main(click.Group):
    """Turns our errors into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except GatewayError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Main)
@click.version_option(__version__, prog_name="gateway")
def main() -> None:
    """HL7 v2 laboratory messages in, FHIR genomic reports out."""


def _settings() -> Settings:
    settings = load_settings(os.environ)
    start_logging(settings)
    return settings


def _until_told(stop: Callable[[], None]) -> None:
    """Wait for SIGTERM or SIGINT, then stop."""
    told = threading.Event()

    def tell(_number: int, _frame: FrameType | None) -> None:
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    told.wait()
    stop()


@main.command()
def serve() -> None:
    """Serve FHIR, OAuth, HL7 over HTTP and health."""
    from granian import Granian
    from granian.constants import Interfaces

    settings = _settings()
    Granian(
        "gateway.app:create_app", factory=True, interface=Interfaces.WSGI, address=settings.host,
        port=settings.port, workers=settings.http_processes,
        blocking_threads=settings.http_threads, log_access=False,
    ).serve()  # fmt: skip


@main.command()
def listen() -> None:
    """Receive HL7 v2 over MLLP."""
    listener = open_parts(_settings()).listener()
    listener.start()
    _until_told(listener.stop)


@main.command("work")
def work_() -> None:
    """File what was accepted."""
    worker = open_parts(_settings()).worker()
    worker.start()
    _until_told(worker.stop)


@main.command()
def up() -> None:
    """Run everything on this host: HTTP, MLLP and workers."""
    settings = _settings()
    open_parts(settings, upgrade=True).database.close()
    roles = [
        subprocess.Popen([sys.executable, "-m", "gateway.cli", role])  # noqa: S603 - our own words
        for role in ("serve", "listen", "work")
    ]
    ended = threading.Event()

    def watch(role: subprocess.Popen[bytes]) -> None:
        role.wait()
        ended.set()
        os.kill(os.getpid(), signal.SIGTERM)

    def stop() -> None:
        for role in roles:
            role.terminate()
        for role in roles:
            role.wait()

    for role in roles:
        threading.Thread(target=watch, args=(role,), daemon=True).start()
    _until_told(stop)
    sys.exit(1 if any(role.returncode not in (0, -signal.SIGTERM) for role in roles) else 0)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--sender", default="", help="Use this sender's mapping.")
@click.option("--format", "format_", type=click.Choice(["json", "xml"]), default="json")
@click.option("--ndjson", is_flag=True, help="One line for each message.")
@click.option("--explain", is_flag=True, help="Say where each source value went.")
def translate(
    files: tuple[str, ...], sender: str, format_: str, ndjson: bool, explain: bool
) -> None:
    """Translate message files (or - for standard input) to FHIR transaction Bundles."""
    if ndjson and format_ == "xml":
        raise click.UsageError("--ndjson goes with --format json only")
    mappings = load_mappings(mappings_folder(Settings()))
    failed = False
    for name in files:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        try:
            converted = convert(raw, mappings, sender)
        except GatewayError as error:
            click.echo(f"{name}: {error}", err=True)
            failed = True
            continue
        for one in converted:
            failed |= not _show(name, one, "ndjson" if ndjson else format_, explain)
    sys.exit(1 if failed else 0)


def _show(name: str, one: Converted, format_: str, explain: bool) -> bool:
    for notice in one.refused:
        click.echo(f"{name}: not translated: {_place(notice.place)}: {notice.text}", err=True)
    if explain:
        _explain(one)
    elif one.bundle:
        click.echo(_written(one.bundle, format_).decode())
    return not one.refused


def _written(bundle: bytes, format_: str) -> bytes:
    if format_ == "ndjson":
        return bundle
    # Decimals keep their digits: orjson alone would turn 0.50 into 0.5.
    document = json.loads(bundle, parse_float=Decimal)
    return to_xml(document) if format_ == "xml" else to_json(document, indent=True)


def _place(place: str) -> str:
    """Name the field as the standard does, for people who do not know its number by heart."""
    try:
        name = field_name(place)
    except GatewayError:  # a place in something other than ER7
        name = ""
    return f"{place} ({name})" if name else place


def _explain(one: Converted) -> None:
    for entry in one.translation.account:
        where = entry.target or f"not translated: {entry.reason}"
        click.echo(f"{entry.place}\t{where}")
    for notice in one.translation.notices:
        kind = "hold" if notice.hold else "warning"
        click.echo(f"{_place(notice.place)}\t{kind}: {notice.text}")
    count = len(one.translation.account)
    used = sum(1 for entry in one.translation.account if entry.target)
    click.echo(f"accounted: {count} of {count} ({used} translated)")


@main.command("send")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--to", required=True, help="mllp://host:port")
def send(files: tuple[str, ...], to: str) -> None:
    """Send message files over MLLP and print each answer; exit 1 unless all are AA or CA."""
    host, _, port = to.removeprefix("mllp://").partition(":")
    if not to.startswith("mllp://") or not port.isdigit():
        raise click.UsageError("--to needs mllp://host:port")
    payloads = [_with_returns(Path(name).read_bytes()) for name in files]
    fine = True
    for name, reply in zip(files, send_mllp(host, int(port), payloads), strict=True):
        text = reply.decode("latin-1").replace("\r", "\n").rstrip()
        fine &= "\nMSA|AA" in text or "\nMSA|CA" in text
        click.echo(f"{name}\n{text}\n")
    sys.exit(0 if fine else 1)


def _with_returns(raw: bytes) -> bytes:
    """A file saved by an editor ends its lines with LF; on the wire segments end with CR."""
    return raw if b"\r" in raw else raw.replace(b"\n", b"\r")


@main.group()
def db() -> None:
    """Schema of the database."""


@db.command("upgrade")
def db_upgrade() -> None:
    """Bring the schema up to date."""
    schema.upgrade(_database())
    click.echo("the schema is current")


@db.command("check")
def db_check() -> None:
    """Say whether the schema is what this release needs."""
    database = _database()
    problems = [] if schema.current(database) else ["not at the newest migration"]
    problems += schema.differences(database)
    click.echo("\n".join(problems) or "the schema is current")
    sys.exit(1 if problems else 0)


def _database() -> Database:
    settings = _settings()
    settings.data.mkdir(parents=True, exist_ok=True)
    return Database(settings.database_url)


@main.group()
def client() -> None:
    """OAuth clients."""


@client.command("create")
@click.argument("name")
@click.option("--scope", required=True, help="The most it may ask for, e.g. system/*.rs")
@click.option("--jwks", required=True, type=click.File("rb"), help="Its public keys.")
def client_create(name: str, scope: str, jwks: Any) -> None:
    """Add a client and print its client_id."""
    try:
        keys = orjson.loads(jwks.read())
    except orjson.JSONDecodeError as error:
        raise InvalidSetting("not JSON", where="--jwks") from error
    made = register(_database(), name, scope, keys, now_micros())
    click.echo(made.id)


@client.command("list")
def client_list() -> None:
    """List the clients."""
    with _database().read() as connection:
        for one in list_clients(connection):
            click.echo(
                f"{one.id}\t{'active' if one.active else 'inactive'}\t{one.name}\t{one.scope}"
            )


@main.command()
@click.option("--scope", default="system/*.rs", show_default=True)
def token(scope: str) -> None:
    """Print an access token for trying things; only where GATEWAY_DEVELOPMENT is true."""
    settings = _settings()
    if not settings.development:
        raise InvalidSetting("tokens are given out only in development", where="development")
    database = Database(settings.database_url)
    now, value = now_micros(), secrets.token_urlsafe(32)
    with database.write() as connection:
        if find_client(connection, _DEVELOPER) is None:
            create_client(connection, client_id=_DEVELOPER, name="development", scope="system/*.rs",
                          jwks="", now=now)  # fmt: skip
        expires = now + settings.token_seconds * 1_000_000
        save_token(connection, token_digest(value), Token(_DEVELOPER, scope, now, expires))
    click.echo(value)


@main.group()
def messages() -> None:
    """What arrived, and what became of it."""


@messages.command("list")
@click.option("--state", default="", help="received, waiting, filed, held, rejected, duplicate")
@click.option("--limit", default=50, show_default=True)
def messages_list(state: str, limit: int) -> None:
    """List the newest messages."""
    with _database().read() as connection:
        _table(work.list_messages(connection, state=state, limit=limit))


@messages.command("show")
@click.argument("key", type=int)
def messages_show(key: int) -> None:
    """Show one message: where it waits and why."""
    with _database().read() as connection:
        rows = work.list_messages(connection, key=key)
    if not rows:
        raise click.ClickException("there is no such message")
    _table(rows)
    for row in rows:
        for note in orjson.loads(row["detail"] or "[]"):
            click.echo(f"  {_place(note['place'])}: {note['text']}")


def _table(rows: Iterable[Any]) -> None:
    click.echo("key\tsource\tsender\ttype\tanswer\tstate\treason\tfiled as")
    for row in rows:
        state = row["state"] or row["message_state"]
        reason = row["reason"] or row["message_reason"]
        filed = " ".join(orjson.loads(row["outcome"] or "[]"))
        cells = (
            row["key"],
            row["source"],
            row["sender"],
            row["type"],
            row["answer"],
            state,
            reason,
        )
        click.echo("\t".join(str(cell) for cell in (*cells, filed)))


@main.command()
@click.option("--once", is_flag=True, help="Stop after the table; exit 0 when all is as expected.")
@click.option("--port", default=8000, show_default=True)
@click.option("--mllp-port", default=2575, show_default=True)
@click.option("--data", type=click.Path(path_type=Path), default=None, help="An empty folder.")
def demo(once: bool, port: int, mllp_port: int, data: Path | None) -> None:
    """Start everything with invented patients, send sample messages, show what became of them."""
    from gateway.demo import run

    settings = replace(
        Settings(), port=port, mllp_port=mllp_port, base_url=f"http://127.0.0.1:{port}",
        development=True,
    )  # fmt: skip
    sys.exit(run(settings, data, once))


if __name__ == "__main__":
    main()
