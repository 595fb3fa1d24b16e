"""What the doors beside FHIR take and give: the words of their OpenAPI description.

A door that is not described here still stands in the document, under the name of its view.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Door:
    """One request beside FHIR: who calls it and what goes in and out, as media types."""

    tag: str
    summary: str
    gives: str = "application/json"
    takes: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    asked: tuple[tuple[str, str], ...] = ()
    token: bool = True


_HL7 = ("x-application/hl7-v2+er7", "application/hl7-v2", "text/plain")

DOORS: Mapping[tuple[str, str], Door] = {
    ("GET", "/fhir/metadata"): Door(
        "FHIR", "What this server does, as a CapabilityStatement", "application/fhir+json",
        asked=(("mode", "full or normative"),), token=False),
    ("GET", "/fhir/.well-known/smart-configuration"): Door(
        "OAuth", "Where tokens come from, as SMART App Launch 2.2 says", token=False),
    ("POST", "/oauth/token"): Door(
        "OAuth", "An access token for a client that signs with its own key",
        form=("grant_type", "scope", "client_assertion_type", "client_assertion"), token=False),
    ("POST", "/hl7"): Door(
        "HL7 v2", "A message or a batch; the answer is its acknowledgement",
        "x-application/hl7-v2+er7", takes=_HL7),
    ("GET", "/hl7/messages"): Door(
        "HL7 v2", "What became of a message", asked=(("control-id", "MSH-10 of the message"),)),
    ("GET", "/hl7/notices"): Door(
        "HL7 v2", "What was filed, held or rejected since",
        asked=(("after", "of the last answer"),)),
    ("GET", "/health/live"): Door("Server", "Is the process alive", "text/plain", token=False),
    ("GET", "/health/ready"): Door("Server", "Can it serve", "text/plain", token=False),
    ("GET", "/metrics"): Door("Server", "Counters for Prometheus", "text/plain", token=False),
    ("GET", "/openapi.json"): Door("Server", "This description, for programs", token=False),
    ("GET", "/docs/api"): Door("Server", "This description, for people", "text/html",
                               token=False),
    ("GET", "/docs/api.css"): Door("Server", "The style of that page", "text/css", token=False),
}  # fmt: skip
