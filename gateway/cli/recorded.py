"""What people do at a command goes into the audit journal, like what clients do over HTTP."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from gateway.config import Settings
from gateway.errors import GatewayError
from gateway.store import schema
from gateway.store.audit import Event, Journal
from gateway.store.database import Database, now_micros


@dataclass(frozen=True, slots=True)
class Recorder:
    """Records for one command; `who` is the name that was given, besides the account's own."""

    journal: Journal
    who: str

    def record(
        self, interaction: str, target: str, *, status: int = 200, detail: str = "",
        returned: tuple[str, ...] = (), query: str = "",
    ) -> None:  # fmt: skip
        """Record one event, durable before this returns; raises StoreUnavailable."""
        event = Event(
            now_micros(), f"cli:{_account()}", interaction, target, status, query=query,
            returned=returned, subject=self.who, detail=detail,
        )  # fmt: skip
        self.journal.record(event, sync=True)

    @contextmanager
    def acting(
        self, interaction: str, target: str, detail: str = "", query: str = ""
    ) -> Iterator[list[str]]:
        """Record what the block does, refused or done; references put into the list go along."""
        returned: list[str] = []
        try:
            yield returned
        except GatewayError as error:
            self._acted(interaction, target, error.status, detail, query, returned)
            raise
        self._acted(interaction, target, 200, detail, query, returned)

    def _acted(
        self, interaction: str, target: str, status: int, detail: str, query: str,
        returned: list[str],
    ) -> None:  # fmt: skip
        self.record(
            interaction, target, status=status, detail=detail, query=query,
            returned=tuple(returned),
        )  # fmt: skip


@contextmanager
def recorder(given: Settings, database: Database, who: str = "") -> Iterator[Recorder]:
    """Open a recorder on the journals of this installation.

    Before the schema is upgraded nothing can be announced: such a journal has to be adopted.
    """
    announced = database if schema.current(database) else None
    with closing(Journal(given.data / "audit", announced)) as journal:
        yield Recorder(journal, who)


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have no name for its account
        return "unknown"
