"""`gateway messages replay`: after a mapping fix, read messages again and file what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial

import click

from gateway.app import open_parts
from gateway.cli.environment import named_place, printable, settings
from gateway.cli.recorded import Recorder, recorder
from gateway.errors import GatewayError, StoreUnavailable
from gateway.pipeline.decide import decision_by, find_replayable
from gateway.pipeline.difference import Difference
from gateway.pipeline.file import Office
from gateway.pipeline.replay import Replayed, Result, confirm, replay, replayable

_SAID = {
    Result.UNCHANGED: "nothing changes",
    Result.WOULD: "would change",
    Result.PROPOSED: "proposed",
    Result.FILED: "filed",
}


@click.command("replay")
@click.argument("keys", type=int, nargs=-1)
@click.option("--part", type=click.IntRange(1), help="Which part, with one KEY.")
@click.option("--sender", default="", help="All held messages of this mapping folder.")
@click.option("--reason", default="", help="All that are held for this reason.")
@click.option("--all-filed", is_flag=True, help="With --sender: also all that were filed.")
@click.option("--confirm", "digests", multiple=True, help="Do what somebody else proposed.")
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@click.option("--values", is_flag=True, help="Show old and new values: patient data.")
@click.option("--who", default="", help="Your name; needed unless it is a dry run.")
@click.option("--why", default="", help="The reason, without patient data; likewise.")
def messages_replay(
    keys: tuple[int, ...], part: int | None, sender: str, reason: str, all_filed: bool,
    digests: tuple[str, ...], dry_run: bool, values: bool, who: str, why: str,
) -> None:  # fmt: skip
    """Read messages again after a mapping fix: show what changes, then file it.

    Where a message was filed and what is published would change, this only proposes it and
    prints a digest: another person confirms with --confirm DIGEST. Exit 1 when any is held or
    could not be replayed.
    """
    chosen = [bool(keys), bool(sender or reason), bool(digests)]
    if sum(chosen) != 1:
        raise click.UsageError("name messages by KEY, or --sender and --reason, or --confirm")
    if part and len(keys) != 1:
        raise click.UsageError("--part goes with one KEY")
    if all_filed and not sender:
        raise click.UsageError("--all-filed goes with --sender")
    if dry_run and digests:
        raise click.UsageError("--dry-run shows a difference, --confirm carries it out")
    decision = None if dry_run else decision_by(who, why)
    given = settings()
    parts = open_parts(given)
    with closing(parts.database), recorder(given, parts.database, who.strip()) as kept:
        office = parts.office()
        if digests and decision:
            done = (partial(confirm, office, digest, decision) for digest in digests)
        else:
            found = _parts(office, keys, part or 0, sender, reason, all_filed)
            done = (partial(replay, office, key, decision) for key in found)
        fine = _each(done, values, kept)
    click.get_current_context().exit(0 if fine else 1)


def _parts(
    office: Office, keys: tuple[int, ...], part: int, sender: str, reason: str, all_filed: bool
) -> Iterator[int]:
    for key in keys:
        yield from find_replayable(office, key, part)
    if not keys:
        yield from replayable(office, "held", sender=sender, reason=reason)
        if all_filed:
            yield from replayable(office, "filed", sender=sender)


def _each(replays: Iterable[Callable[[], Replayed]], values: bool, kept: Recorder) -> bool:
    """Replay one after the other; one that cannot be is told, and the others go on."""
    counts: Counter[str] = Counter()
    for one in replays:
        try:
            done = one()
        except StoreUnavailable:
            raise
        except GatewayError as error:
            counts["refused"] += 1
            kept.record("replay", "message", status=error.status)
            click.echo(f"refused: {error}", err=True)
        else:
            counts[done.result] += 1
            _record(done, values, kept)
            _show(done, values)
    click.echo(", ".join(f"{count} {what}" for what, count in counts.items()) or "none")
    return not (counts["refused"] or counts[Result.HELD])


def _record(done: Replayed, values: bool, kept: Recorder) -> None:
    """Say which resources a replay changed, or would; with values they are also shown."""
    detail = f"{done.result}, values shown" if values else str(done.result)
    exists = [one for one in done.differences if one.kind != "added" or done.result == Result.FILED]
    returned = tuple(f"{one.type}/{one.id}" for one in exists)
    kept.record("replay", f"message/{done.message_key}", detail=detail, returned=returned)


def _show(done: Replayed, values: bool) -> None:
    name = f"message {done.message_key} part {done.number} ({done.was})"
    if done.result is Result.HELD:
        stays = "is still held" if done.was == "held" else "would be held, and stays filed"
        click.echo(f"{name} {stays}")
        for notice in done.notices:
            click.echo(f"  {notice.hold}: {named_place(notice.place)}: {notice.text}")
        return
    click.echo(f"{name}: {_SAID[done.result]}")
    for one in done.differences:
        exists = one.kind != "added" or done.result is Result.FILED
        _show_difference(one, f"{one.type}/{one.id}" if exists else f"{one.type} (new)", values)
    if done.result is Result.PROPOSED:
        click.echo(f"  another person confirms with --confirm {done.digest}")


def _show_difference(one: Difference, name: str, values: bool) -> None:
    paths = ", ".join(element.path for element in one.elements)
    cells = (one.kind, name, one.role if values else one.label)
    click.echo("  " + "\t".join((*map(printable, cells), "" if values else paths)).rstrip())
    if values:
        for element in one.elements:
            before, after = (text or "(none)" for text in (element.before, element.after))
            click.echo(printable(f"    {element.path}: {before} -> {after}"))
