"""A published report is flagged while a newer message about it waits (safety.md 1)."""

from __future__ import annotations

from gateway.report import Organization, Report
from gateway.store import decisions, reports
from gateway.store.database import Connection
from gateway.store.reports import Identities, Standing
from gateway.store.resources import NewVersion, save

FLAG = {
    "system": "urn:x-genomics-gateway:report-flag",
    "code": "newer-message-held",
    "display": "A newer message about this report waits for a decision",
}
_TYPE = "DiagnosticReport"


def laboratory_key(laboratory: Organization) -> str:
    """Name the reporting laboratory: by its code, else by its words."""
    one = laboratory.identifier
    return f"{one.system}|{one.value}" if one else laboratory.name


def report_name(report: Report) -> str:
    """Name a report for what waits for it: laboratory, line feed, number."""
    return f"{laboratory_key(report.laboratory)}\n{report.number.value}"


def flag(connection: Connection, name: str, now: int) -> None:
    """Flag the published version of a report whose newer message is held."""
    standing = _published(connection, name)
    if standing:
        _tag(connection, standing, True, now)


def unflag(connection: Connection, name: str, part_key: int, now: int) -> None:
    """Take the flag off a report, unless another part than this one still waits for a person."""
    standing = _published(connection, name)
    if standing and standing.flagged and not decisions.waits_for(connection, name, part_key):
        _tag(connection, standing, False, now)


def _published(connection: Connection, name: str) -> Standing | None:
    laboratory, _, number = name.rpartition("\n")
    standing = reports.find(connection, laboratory, number)
    return standing if standing and standing.status and standing.patient_key is not None else None


def _tag(connection: Connection, standing: Standing, flagged: bool, now: int) -> None:
    reports.change(connection, standing.key, {"flagged": flagged})
    id_ = Identities(connection, standing.key).of_report(_TYPE, _TYPE)
    content = reports.current(connection, _TYPE, id_)
    if content is None:
        return
    meta = content.setdefault("meta", {})
    before = meta.pop("tag", [])
    after = [one for one in before if one != FLAG] + ([FLAG] if flagged else [])
    if after:
        meta["tag"] = after
    if (FLAG in before) != flagged:
        version = NewVersion(_TYPE, id_, content, standing.patient_key, standing.record_class)
        save(connection, [version], now)
