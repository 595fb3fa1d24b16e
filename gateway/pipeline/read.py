"""Read: raw bytes to what they mean; what is wrong with them becomes holds with their place."""

from __future__ import annotations

from gateway.errors import GatewayError
from gateway.parse.er7 import parse, structure_errors
from gateway.report import Notice, Translation
from gateway.translate.mapping import SenderMapping
from gateway.translate.message import translate


def read(raw: bytes, mapping: SenderMapping, charset: str = "") -> Translation:
    """Parse and translate one message; `charset` (from HTTP) wins over MSH-18."""
    try:
        message = parse(raw, mapping.sender.charset, charset)
        if mapping.sender.strict and (errors := structure_errors(raw)):
            return _held(errors)
        return translate(message, mapping)
    except GatewayError as error:
        return _held([error])


def _held(errors: list[GatewayError]) -> Translation:
    return Translation(notices=tuple(Notice(one.where, one.text, one.hold) for one in errors))
