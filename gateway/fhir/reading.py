"""A resource from the bytes of a request, JSON or XML; numbers keep their digits."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import orjson

from gateway.errors import InvalidRequest, InvalidValue
from gateway.fhir.terms import Json
from gateway.fhir.xml import from_xml

_INTEGER_DIGITS = 18


def read_resource(raw: bytes, *, xml: bool = False) -> Json:
    """Read one resource; raises InvalidRequest with the place of what cannot be read."""
    try:
        return from_xml(raw) if xml else _of_json(raw)
    except InvalidValue as error:
        raise InvalidRequest(error.text, where=error.where) from error
    except RecursionError as error:
        raise InvalidRequest("is nested too deeply") from error


def read_text(body: str) -> Json:
    """Read stored JSON, which was checked when it was filed."""
    content: Json = json.loads(body, parse_float=Decimal)
    return content


def _of_json(raw: bytes) -> Json:
    try:
        # Stricter than `json`: no NaN, no lone surrogates, UTF-8 only.
        orjson.loads(raw)
        content: Any = json.loads(
            raw, parse_float=Decimal, parse_int=_integer, object_pairs_hook=_once
        )
    except ValueError as error:
        twice = "a name stands twice in one object"
        text = twice if str(error) == "twice" else "the body is not JSON"
        raise InvalidValue(text) from error
    if not isinstance(content, dict) or not isinstance(content.get("resourceType"), str):
        raise InvalidValue("the body is no resource: it has no resourceType")
    return content


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _INTEGER_DIGITS else Decimal(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("twice")
    return made
