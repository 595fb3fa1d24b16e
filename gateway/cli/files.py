"""Commands on message files."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import click

from gateway.app import mappings_folder
from gateway.cli.environment import named_place, show_account
from gateway.config import Settings
from gateway.errors import GatewayError
from gateway.fhir.bundle import to_json
from gateway.fhir.xml import to_xml
from gateway.pipeline.convert import Converted, convert
from gateway.translate.mapping import load_mappings
from gateway.wire.mllp import client_context
from gateway.wire.mllp import send as send_mllp

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
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
        click.echo(f"{name}: not translated: {named_place(notice.place)}: {notice.text}", err=True)
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


def _explain(one: Converted) -> None:
    show_account(one.translation.account)
    for notice in one.translation.notices:
        kind = "hold" if notice.hold else "warning"
        click.echo(f"{named_place(notice.place)}\t{kind}: {notice.text}")


@click.command("send")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--to", required=True, help="mllp://host:port, or mllps://host:port for TLS")
@click.option("--certificate", type=_FILE, help="Our certificate (PEM), for mllps.")
@click.option("--key", type=_FILE, help="Its key (PEM).")
@click.option("--ca", type=_FILE, help="The CA of the other side (PEM); else the system's CAs.")
def send(
    files: tuple[str, ...], to: str, certificate: Path | None, key: Path | None, ca: Path | None
) -> None:
    """Send message files over MLLP and print each answer; exit 1 unless all are AA or CA."""
    scheme, host, port = _target(to)
    if scheme == "mllp" and (certificate or key or ca):
        raise click.UsageError("--certificate, --key and --ca go with mllps only")
    if bool(certificate) != bool(key):
        raise click.UsageError("--certificate and --key go together")
    tls = client_context(ca, certificate, key) if scheme == "mllps" else None
    payloads = [_with_returns(Path(name).read_bytes()) for name in files]
    fine = True
    for name, reply in zip(files, send_mllp(host, port, payloads, tls=tls), strict=True):
        text = reply.decode("latin-1").replace("\r", "\n").rstrip()
        fine &= "\nMSA|AA" in text or "\nMSA|CA" in text
        click.echo(f"{name}\n{text}\n")
    sys.exit(0 if fine else 1)


def _target(to: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(to)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme not in ("mllp", "mllps"):
        raise click.UsageError("--to needs mllp://host:port or mllps://host:port")
    return parts.scheme, host, port


def _with_returns(raw: bytes) -> bytes:
    """A file saved by an editor ends its lines with LF; on the wire segments end with CR."""
    return raw if b"\r" in raw else raw.replace(b"\n", b"\r")
