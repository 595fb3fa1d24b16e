"""Application acknowledgements: what became of a message, for senders that ask by MSH-16.

Owed from acceptance until one was sent; it comes when every part of the message has been filed,
held or rejected, over any connection of its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from gateway.errors import GatewayError, error_of
from gateway.parse.er7 import header_of
from gateway.store import owed
from gateway.store.database import Database
from gateway.wire.acknowledgement import acknowledge, wants

# The worst of its parts decides the answer for a message.
_ANSWERS = (("rejected", "AR"), ("held", "AE"))


@dataclass(frozen=True, slots=True)
class Acknowledger:
    """Writes the application acknowledgements that are due."""

    database: Database
    new_control_id: Callable[[], str]
    clock: Callable[[], int]

    def due(self, source: str) -> Iterator[tuple[int, bytes]]:
        """Yield (message key, acknowledgement) in the order of arrival.

        Call `settle` for each once it was sent, so that a lost one is sent again.
        Raises StoreUnavailable.
        """
        with self.database.read() as connection:
            messages = owed.due(connection, source)
        unwanted = [one.key for one in messages if not wants(one.wanted, _answer(one) == "AA")]
        self.settle(*unwanted)
        for one in messages:
            if one.key not in unwanted:
                yield one.key, self._write(one)

    def settle(self, *keys: int) -> None:
        """Note that these are owed no longer."""
        if keys:
            with self.database.write() as connection:
                owed.settle(connection, keys)

    def _write(self, message: owed.Owed) -> bytes:
        now = datetime.fromtimestamp(self.clock() / 1e6, UTC).strftime("%Y%m%d%H%M%S+0000")
        return acknowledge(
            header_of(message.raw), _answer(message), _errors(message),
            control_id=self.new_control_id(), now=now,
        )  # fmt: skip


def _answer(message: owed.Owed) -> str:
    return next((code for state, code in _ANSWERS if state in message.states), "AA")


def _errors(message: owed.Owed) -> list[GatewayError]:
    """What holds the parts of a message, by place; a warning is no error."""
    notes = [note for detail in message.details for note in orjson.loads(detail)]
    return [error_of(one["hold"], one["text"], one["place"]) for one in notes if one.get("hold")]
