"""What one translation knows and notes: the message, its sender's clock and tables, notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from gateway.errors import GatewayError, Hold
from gateway.message import Message
from gateway.report import Accounted, Notice
from gateway.translate.codes import Table

# Where the values of a result message are.
_VALUES = {"OBX": 5, "NTE": 3}


@dataclass(slots=True)
class Desk:
    """The notes taken while one message is translated; never shared, never kept."""

    message: Message
    zone: ZoneInfo
    tables: Mapping[str, Table]
    notices: list[Notice] = field(default_factory=list)
    _account: dict[str, Accounted] = field(default_factory=dict)

    def warn(self, place: str, text: str) -> None:
        """Note something that a person may want to mend; the message is still filed."""
        self.notices.append(Notice(place, text))

    def hold(self, place: str, text: str, reason: Hold) -> None:
        """Note why this message must wait for a person."""
        self.notices.append(Notice(place, text, reason))

    def hold_for(self, error: GatewayError) -> None:
        """Turn an error of our family into a hold."""
        self.hold(error.where, error.text, error.hold)

    def used(self, place: str, target: str) -> None:
        """Account for a value: where it went; it may go to several places."""
        known = self._account.get(place)
        if known and known.target:
            target = f"{known.target}, {target}"
        self._account[place] = Accounted(place, target)

    def left(self, place: str, reason: str) -> None:
        """Account for a value that is not translated: why."""
        if place not in self._account:
            self._account[place] = Accounted(place, reason=reason)

    def account(self) -> tuple[Accounted, ...]:
        """Account for every value of the message: OBX-5 and NTE-3, in its order."""
        for segment in self.message.segments:
            number = _VALUES.get(segment.name)
            if number and segment.raw(number):
                self.left(f"{segment.place}-{number}", "not reached: nothing could be filed")
        return tuple(self._account.values())
