"""Commands on the inbox: what arrived, what became of it, and what people decide about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from gateway.app import open_parts
from gateway.cli.environment import database, named_place, printable, settings, show_account
from gateway.cli.recorded import recorder
from gateway.cli.replay import messages_replay
from gateway.cli.summary import summary_option
from gateway.pipeline.decide import Decision, decision_by, find_held, reject, release
from gateway.pipeline.file import Office
from gateway.report import Accounted
from gateway.store import decisions
from gateway.store.database import now_micros
from gateway.store.listing import Wanted, list_messages

_HEADS = ("key", "part", "source", "sender", "type", "answer", "state", "reason", "held for",
          "filed as")  # fmt: skip
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class _Duration(click.ParamType[int]):
    """A length of time in microseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read 90s, 30m, 2h, 3d or 1w."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,6})([smhdw])", value, re.ASCII)
        if found is None:
            self.fail("a number and s, m, h, d or w, such as 2h", param, ctx)
        return int(found[1]) * _SECONDS[found[2]] * 1_000_000


@click.group()
def messages() -> None:
    """What arrived, and what became of it."""


@messages.command("list")
@click.option("--state", default="", help="received, waiting, filed, held, rejected, duplicate")
@click.option("--reason", default="", help="Why it is held or was rejected, e.g. code.")
@click.option("--sender", default="", help="Name of its mapping folder.")
@click.option("--source", default="", help="Connection it came over, e.g. mllp:10.1.2.3.")
@click.option("--older-than", type=_Duration(), default=0, help="Held (or received) so long ago.")
@click.option("--oldest-first", is_flag=True, help="Instead of the newest first.")
@click.option("--after", default=0, metavar="KEY", help="Go on where the page before ended.")
@click.option("--limit", default=50, show_default=True, help="Messages on a page.")
@summary_option
def messages_list(
    state: str, reason: str, sender: str, source: str, older_than: int, oldest_first: bool,
    after: int, limit: int,
) -> None:  # fmt: skip
    """List messages with what became of each of their parts, the newest first."""
    now = now_micros()
    wanted = Wanted(
        state=state, reason=reason, sender=sender, source=source, beyond=after,
        until=now - older_than if older_than else 0, oldest_first=oldest_first,
    )  # fmt: skip
    with closing(database()) as opened, opened.read() as connection:
        rows = list_messages(connection, wanted, limit=limit)
    _table(rows, now)
    if len({row["key"] for row in rows}) == limit:
        click.echo(f"more: --after {rows[-1]['key']}", err=True)


@messages.command("show")
@click.argument("key", type=int)
def messages_show(key: int) -> None:
    """Show one message: where it waits and why, and who decided what about it."""
    with closing(database()) as opened, opened.read() as connection:
        rows = list_messages(connection, Wanted(key=key))
        decided = decisions.of_message(connection, key)
    if not rows:
        raise click.ClickException("there is no such message")
    _table(rows, now_micros())
    _show_arrival(rows[0])
    for row in rows:
        for note in orjson.loads(row["detail"] or "[]"):
            click.echo(f"  {named_place(note['place'])}: {note['text']}")
        show_account([Accounted(**one) for one in orjson.loads(row["account"] or "[]")])
    for one in decided:
        proposal = f" [{one['digest']}]" if one["digest"] else ""
        click.echo(
            f"decided {_instant(one['at'])}\tpart {one['ordinal'] + 1}\t{one['action']}"
            f"\t{one['who']}\t{one['reason']}{proposal}"
        )


def _deciding(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command what every decision needs."""
    for option in (
        click.option("--why", required=True, help="The reason, without patient data."),
        click.option("--who", required=True, help="Your name."),
        click.option("--part", type=click.IntRange(1), help="Which part, if it has several."),
        click.argument("key", type=int),
    ):
        command = option(command)
    return command


@messages.command("release")
@_deciding
def messages_release(key: int, part: int | None, who: str, why: str) -> None:
    """Give a held message back to the workers as it is: what was wrong is put right elsewhere."""
    _decide("release", key, part, who, why, release)
    click.echo(f"message {key} goes back to work")


@messages.command("reject")
@_deciding
def messages_reject(key: int, part: int | None, who: str, why: str) -> None:
    """End a held message for good; what waited behind it goes on."""
    _decide("reject", key, part, who, why, reject)
    click.echo(f"message {key} is rejected")


messages.add_command(messages_replay)


def _decide(
    name: str, key: int, part: int | None, who: str, why: str,
    act: Callable[[Office, int, Decision], None],
) -> None:  # fmt: skip
    given, decision = settings(), decision_by(who, why)
    parts = open_parts(given)
    with (
        closing(parts.database),
        recorder(given, parts.database, decision.who) as kept,
        kept.acting(name, f"message/{key}", decision.why),
    ):
        office = parts.office()
        act(office, find_held(office, key, part or 0), decision)


def _table(rows: Iterable[Mapping[str, Any]], now: int) -> None:
    click.echo("\t".join(_HEADS))
    for row in rows:
        held = row["state"] == "held"
        cells = (
            row["key"],
            "" if row["ordinal"] is None else row["ordinal"] + 1,
            row["source"],
            row["sender"],
            row["type"],
            row["answer"],
            row["state"] or row["message_state"],
            row["reason"] or row["message_reason"],
            _age(now - row["changed_at"]) if held else "",
            " ".join(orjson.loads(row["outcome"] or "[]")),
        )
        click.echo("\t".join(printable(str(cell)) for cell in cells))


def _show_arrival(row: Mapping[str, Any]) -> None:
    control = printable(row["control_id"])
    click.echo(f"received {_instant(row['received_at'])}, control id {control or '(none)'}")
    if row["duplicate_of"]:
        click.echo(f"a repeat of message {row['duplicate_of']}")
    if row["control_id_reused"]:
        click.echo("its control id was used before, with other content")
    if row["back_load"]:
        click.echo("back-load: history, filed without telling anybody")
    if row["purged_at"]:
        click.echo(f"its bytes were removed {_instant(row['purged_at'])}")


def _age(micros: int) -> str:
    """Write a length of time in its two largest units."""
    minutes = max(0, micros) // 60_000_000
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days}d {hours}h"
    return f"{hours}h {minutes % 60:02}m" if hours else f"{minutes}m"


def _instant(micros: int) -> str:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).isoformat()
