"""Where a key stands in a TOML file: tomllib reads values, but does not say on which line."""

from __future__ import annotations

import re
import tomllib

from gateway.errors import InvalidMapping

_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*\.?""")
_HEADER = re.compile(r"\s*\[\[?([^\[\]]+)\]\]?\s*(?:#.*)?")
_ASSIGNED = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_.\s-])+?)\s*=""")
_AT_LINE = re.compile(r"\(at line (\d+),")


class Lines:
    """The lines of the sections and keys of one TOML text, counted from 1."""

    def __init__(self, text: str) -> None:
        self._known: dict[tuple[str, ...], int] = {}
        section: tuple[str, ...] = ()
        quoted = ""
        for number, line in enumerate(text.split("\n"), 1):
            if not quoted:
                if header := _HEADER.fullmatch(line):
                    section = _parts(header[1])
                    self._note(section, number)
                elif key := _ASSIGNED.match(line):
                    self._note((*section, *_parts(key[1])), number)
            quoted = _open_quotes(line, quoted)

    def of(self, keys: tuple[str, ...]) -> int:
        """Return the line of a key, or of the innermost known one around it; 1 if there is none."""
        while keys and keys not in self._known:
            keys = keys[:-1]
        return self._known.get(keys, 1)

    def _note(self, keys: tuple[str, ...], number: int) -> None:
        for length in range(1, len(keys) + 1):
            self._known.setdefault(keys[:length], number)


def line_of_error(error: InvalidMapping) -> int:
    """Return the line that a TOML error speaks of; 0 when the file as a whole is meant."""
    cause = error.__cause__
    if isinstance(cause, UnicodeDecodeError):
        return bytes(cause.object[: cause.start]).count(b"\n") + 1
    found = _AT_LINE.search(str(cause)) if isinstance(cause, tomllib.TOMLDecodeError) else None
    return int(found[1]) if found else 0


def _parts(key: str) -> tuple[str, ...]:
    return tuple("".join(quoted_or_bare) for quoted_or_bare in _PART.findall(key))


def _open_quotes(line: str, quoted: str) -> str:
    """Return the mark of the multi-line text that is open at the end of this line, if any."""
    for mark in ('"""', "'''"):
        if quoted in ("", mark) and line.count(mark) % 2:
            return "" if quoted else mark
    return quoted
