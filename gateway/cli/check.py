"""`gateway check`: what is wrong with a sender's folder, and what of its examples is not read."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from gateway.app import mappings_folder
from gateway.cli.environment import named_place, settings
from gateway.config import Settings
from gateway.errors import GatewayError
from gateway.message import Message
from gateway.parse.er7 import parse, split
from gateway.translate.check import Checked, Mistake, check_sender


@click.command()
@click.argument("folders", nargs=-1, metavar="[MAPPINGS/SENDER]…")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON document for programs.")
def check(folders: tuple[str, ...], as_json: bool) -> None:
    """Check senders' folders (all, unless some are named): mistakes by file and line.

    Fields and codes of the examples that no rule reads are told too, and are no mistakes.
    """
    known = mappings_folder(settings())
    standard = mappings_folder(Settings())
    chosen = [_folder(one, known) for one in folders] or [
        path.parent for path in sorted(known.glob("*/mapping.toml"))
    ]
    checked = [(folder, check_sender(folder, standard, _read)) for folder in chosen]
    if as_json:
        document = [{**asdict(one), "folder": str(folder)} for folder, one in checked]
        click.echo(json.dumps({"senders": document}, indent=2))
    else:
        for folder, one in checked:
            _show(folder, one)
    sys.exit(1 if any(one.mistakes for _, one in checked) else 0)


def _folder(given: str, known: Path) -> Path:
    """A path, or the bare name of a sender of the mappings folder."""
    for path in (Path(given), known / given if "/" not in given else Path(given)):
        if path.is_dir():
            return path
    raise GatewayError("there is no such folder", where=given)


def _read(raw: bytes, charset: str) -> Sequence[Message]:
    return [parse(part, charset) for part in split(raw)]


def _show(folder: Path, one: Checked) -> None:
    for mistake in one.mistakes:
        click.echo(f"{_place(folder, mistake)}: {mistake.text}")
    for unread in one.codes:
        click.echo(f"{folder}: no rule reads OBX-3 {unread.name} ({_some(unread.examples)})")
    for unread in one.fields:
        click.echo(f"{folder}: no rule reads {named_place(unread.name)} ({_some(unread.examples)})")
    count = len(one.mistakes)
    words = {0: "no mistakes", 1: "1 mistake"}.get(count, f"{count} mistakes")
    click.echo(f"{folder}: {words}, {len(one.codes) + len(one.fields)} not read")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _place(folder: Path, mistake: Mistake) -> str:
    line = f":{mistake.line}" if mistake.line else ""
    return f"{folder / mistake.file}{line}"
