"""What every web page shares: its headers, its errors, its layout.

A blueprint of pages calls `guard_pages` once; its views return `page(...)`. No script runs, no
style stands in a page, no frame holds one, and nothing of it is kept by a cache.
"""

from __future__ import annotations

import logging
import traceback
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from gateway.config import Settings
from gateway.errors import GatewayError, StoreUnavailable

_log = logging.getLogger(__name__)
_FORM_BYTES = 100_000
_FORM_PARTS = 100
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HSTS = "max-age=31536000"
_TITLES = {
    400: "That did not work",
    403: "You may not do this",
    404: "There is no such page",
    405: "That did not work",
    413: "That is too long",
    429: "Please wait",
    503: "Please try again in a moment",
}
_PLAIN = {
    404: "The address may be mistyped, or the page has moved.",
    413: "What was sent is longer than this page takes.",
}


def guard_pages(blueprint: Blueprint, settings: Settings) -> None:
    """Give every page of a blueprint its headers, its limits and its error pages."""

    blueprint.before_request(_limit)
    blueprint.after_request(partial(_secured, settings))
    blueprint.register_error_handler(GatewayError, refused)
    blueprint.register_error_handler(HTTPException, _refused_http)
    blueprint.register_error_handler(Exception, _failed)


def guard_unrouted(blueprint: Blueprint, settings: Settings) -> None:
    """Answer with a page, and its headers, what no door of the whole application is for."""

    def refuse(error: HTTPException) -> Response | HTTPException:
        if request.url_rule is not None:
            return error  # a door's own word
        response = _secured(settings, _refused_http(error))
        allowed = dict(error.get_headers()).get("Allow")
        if allowed:
            response.headers["Allow"] = allowed
        return response

    blueprint.app_errorhandler(HTTPException)(refuse)


def allow_form_target(url: str) -> None:
    """Let a form of this page end at another origin: browsers hold redirects to the policy too."""
    parts = urlsplit(url)
    g.form_target = f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Render a template; values are escaped."""
    return make_response(render_template(template, **values), status)


def refused(error: GatewayError) -> Response:
    """Say on a page why a request was refused."""
    response = _error(error.status, error.text)
    if isinstance(error, StoreUnavailable):
        response.headers["Retry-After"] = "5"
    return response


def _secured(settings: Settings, response: Response) -> Response:
    headers = _HEADERS | {"Content-Security-Policy": _policy()}
    if settings.https:
        headers["Strict-Transport-Security"] = _HSTS
    if request.endpoint == "web.static":
        headers["Cache-Control"] = "public, max-age=3600"
    response.headers.update(headers)
    return response


def _policy() -> str:
    target = g.get("form_target", "")
    return f"{_POLICY} {target}".strip()


def _limit() -> None:
    request.max_content_length = _FORM_BYTES
    request.max_form_parts = _FORM_PARTS


def _refused_http(error: HTTPException) -> Response:
    if error.response is not None:
        return make_response(error.response)
    status = error.code or 500
    return _error(status, _PLAIN.get(status, "The request was not one that this page takes."))


def _failed(error: Exception) -> Response:
    place = traceback.extract_tb(error.__traceback__)[-1]
    _log.error("%s in %s line %s", type(error).__name__, place.name, place.lineno)
    return _error(500, "It is not your fault, and nothing was lost. Tell those who run this.")


def _error(status: int, text: str) -> Response:
    title = _TITLES.get(status, "Something went wrong")
    return page("error.html", status, title=title, text=text)
