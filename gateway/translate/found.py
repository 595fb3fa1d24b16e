"""One raw value in hand: where it stands, and what the mapping says about reading it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.translate.codes import Row, Table
from gateway.translate.desk import Desk


@dataclass(frozen=True, slots=True)
class Found:
    """One raw value, where it stands, and how the mapping says to read it.

    `critical` marks a field whose unknown codes hold the message; `system` is the configured
    system of identifiers read here.
    """

    raw: str
    place: str
    desk: Desk
    table: Table | None = None
    critical: bool = False
    system: str = ""

    @property
    def text(self) -> str:
        """The whole value, unescaped."""
        return self.desk.message.piece(self.raw, 0)

    @property
    def parts(self) -> list[str]:
        """The components, unescaped, padded so that the first nine can always be read."""
        parts = [part.strip() for part in self.desk.message.components(self.raw)]
        return parts + [""] * (9 - len(parts))


def dated(found: Found, row: Row) -> Row:
    """Warn of a code that did not stand when the message was sent; it still means what it says."""
    if row.valid_from or row.valid_to:
        sent = found.desk.message.value("MSH-7.1")[:8]
        day = f"{sent[:4]}-{sent[4:6]}-{sent[6:]}" if re.fullmatch(r"\d{8}", sent) else ""
        if day and not row.in_force(day):
            found.desk.warn(found.place, "this code was not in force when the message was sent")
    return row
