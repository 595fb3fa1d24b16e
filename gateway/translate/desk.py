"""What one translation knows and notes: the message, its sender's clock and tables, notices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from gateway.errors import GatewayError, Hold
from gateway.message import Message
from gateway.report import Accounted, Notice
from gateway.translate.codes import Table


@dataclass(slots=True)
class Desk:
    """The notes taken while one message is translated; never shared, never kept."""

    message: Message
    zone: ZoneInfo
    tables: Mapping[str, Table]
    notices: list[Notice] = field(default_factory=list)
    account: list[Accounted] = field(default_factory=list)

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
        """Account for a value: where it went."""
        self.account.append(Accounted(place, target=target))

    def left(self, place: str, reason: str) -> None:
        """Account for a value that is not translated: why."""
        self.account.append(Accounted(place, reason=reason))
