"""Scopes in plain words, for the person who is asked to grant them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from gateway.access.scopes import OFFLINE, ONLINE, parse_scope
from gateway.config import Settings

_THINGS = {
    "*": "the whole genomic record",
    "Binary": "the original files of reports, such as PDF",
    "DiagnosticReport": "genomic laboratory reports",
    "DocumentReference": "documents",
    "Observation": "findings, variants and their interpretation",
    "Organization": "laboratories and other organisations",
    "Patient": "name, date of birth, identifiers and address",
    "Practitioner": "names of staff on reports",
    "PractitionerRole": "roles of staff on reports",
    "Provenance": "where records came from",
    "ServiceRequest": "requests for tests",
    "Specimen": "specimens",
    "Task": "tasks about reports",
}
_WHOSE = {"patient": "of this patient", "user": "of every patient that you may see"}
_DEEDS = (("rs", "see"), ("c", "add"), ("u", "change"), ("d", "delete"))
_IDENTITY = "openid fhirUser"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that may be granted: its scopes, and what they mean."""

    scope: str
    text: str


def lines(scope: str, settings: Settings) -> list[Line]:
    """Return what an app would be granted, one line for each thing that may be left out."""
    asked = scope.split()
    found = [Line(text, sentence(text)) for text in asked if text.startswith(("patient/", "user/"))]
    identity = " ".join(text for text in _IDENTITY.split() if text in asked)
    if identity:
        found.append(Line(identity, "know who you are: your name here and a number for you"))
    if OFFLINE in asked:
        text = f"go on doing so for {settings.offline_days} days, also when you are not there"
        found.append(Line(OFFLINE, text))
    if ONLINE in asked:
        text = f"go on doing so for {settings.online_hours} hours, while you use it"
        found.append(Line(ONLINE, text))
    return found


def kept(scope: str) -> str:
    """Return the scopes that are no choice: how the app was started."""
    return " ".join(text for text in scope.split() if text.startswith("launch"))


def sentence(text: str) -> str:
    """Say one resource scope: what may be done with which things, and whose."""
    plain, _, condition = text.partition("?")
    scope = parse_scope(plain)
    if scope is None:
        return text
    deeds = [word for letters, word in _DEEDS if set(letters) & set(scope.letters)]
    thing = _THINGS.get(scope.type, f"records of the kind {scope.type}")
    only = ", ".join(f"{name} {value}" for name, value in parse_qsl(condition))
    whose = _WHOSE.get(scope.level, "")
    done = " and ".join(part for part in (", ".join(deeds[:-1]), deeds[-1]) if part)
    return f"{done} {thing} {whose}" + (f", only {only}" if only else "")
