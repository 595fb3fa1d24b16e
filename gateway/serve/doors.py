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

_AUTHORIZE = (
    ("response_type", "code"), ("client_id", "of the app"), ("redirect_uri", "as registered"),
    ("scope", "what it asks for"), ("state", "is echoed"), ("aud", "the FHIR base"),
    ("code_challenge", "of the verifier"), ("code_challenge_method", "S256"),
    ("launch", "of an EHR launch"), ("nonce", "for an ID token"),
)  # fmt: skip

DOORS: Mapping[tuple[str, str], Door] = {
    ("GET", "/fhir/metadata"): Door(
        "FHIR", "What this server does, as a CapabilityStatement", "application/fhir+json",
        asked=(("mode", "full or normative"),), token=False),
    ("GET", "/fhir/.well-known/smart-configuration"): Door(
        "OAuth", "Where tokens come from, as SMART App Launch 2.2 says", token=False),
    ("GET", "/fhir/.well-known/openid-configuration"): Door(
        "OAuth", "The same, as OpenID Connect Discovery says", token=False),
    ("GET", "/.well-known/openid-configuration"): Door(
        "OAuth", "The same, at the issuer", token=False),
    ("GET", "/.well-known/oauth-authorization-server"): Door(
        "OAuth", "The same, as RFC 8414 says", token=False),
    ("GET", "/oauth/jwks"): Door("OAuth", "The keys that sign ID tokens", token=False),
    ("GET", "/oauth/authorize"): Door(
        "OAuth", "Where an app sends a person's browser; PKCE S256 always", "text/html",
        asked=_AUTHORIZE, token=False),
    ("POST", "/oauth/authorize"): Door(
        "OAuth", "The same, as a form", "text/html", form=tuple(name for name, _ in _AUTHORIZE),
        token=False),
    ("POST", "/oauth/authorize/patient"): Door(
        "OAuth", "The form of the page where a person says which patient", "text/html",
        form=("csrf", "ask", "identifier"), token=False),
    ("POST", "/oauth/authorize/decision"): Door(
        "OAuth", "The form of the page where a person allows or refuses", "text/html",
        form=("csrf", "ask", "scope", "decision"), token=False),
    ("POST", "/oauth/token"): Door(
        "OAuth", "An access token: for a code, a refresh token, or a client for itself",
        form=("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope",
              "client_id", "client_assertion_type", "client_assertion"), token=False),
    ("POST", "/oauth/introspect"): Door(
        "OAuth", "What a token is good for", form=("token",), token=False),
    ("POST", "/oauth/revoke"): Door("OAuth", "Ends a token", form=("token",), token=False),
    ("GET", "/oauth/userinfo"): Door("OAuth", "Who signed in"),
    ("POST", "/oauth/userinfo"): Door("OAuth", "The same"),
    ("POST", "/oauth/launch"): Door(
        "OAuth", "An EHR prepares the launch of an app", takes=("application/json",)),
    ("POST", "/oauth/register"): Door(
        "OAuth", "Registers an app, where the setting `registration` allows it",
        takes=("application/json",), token=False),
    ("POST", "/access/break-glass"): Door(
        "Access", "A person sees a patient for a while, says why, and is asked about it later",
        takes=("application/json",)),
    ("GET", "/sign-in"): Door("Pages", "Where people sign in", "text/html", token=False),
    ("POST", "/sign-in"): Door("Pages", "Its form", "text/html",
                               form=("csrf", "name", "password", "next"), token=False),
    ("GET", "/sign-in/code"): Door("Pages", "The second step", "text/html", token=False),
    ("POST", "/sign-in/code"): Door("Pages", "Its form", "text/html", form=("csrf", "code"),
                                    token=False),
    ("GET", "/sign-in/upstream"): Door("Pages", "To the provider that people sign in at",
                                       "text/html", token=False),
    ("GET", "/sign-in/callback"): Door("Pages", "And back", "text/html", token=False),
    ("POST", "/sign-out"): Door("Pages", "Ends a browser's session", "text/html",
                                form=("csrf",), token=False),
    ("GET", "/account"): Door("Pages", "A person's own account", "text/html", token=False),
    ("POST", "/account/password"): Door("Pages", "A new password", "text/html", token=False),
    ("GET", "/account/authenticator"): Door("Pages", "An authenticator app is set up",
                                            "text/html", token=False),
    ("POST", "/account/authenticator"): Door("Pages", "Its form", "text/html", token=False),
    ("POST", "/account/authenticator/remove"): Door("Pages", "It is taken off", "text/html",
                                                    token=False),
    ("GET", "/static/<path:filename>"): Door("Pages", "Style and pictures", "text/css",
                                             token=False),
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
