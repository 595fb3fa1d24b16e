"""The messages that are measured are what they say, and none is refused."""

from __future__ import annotations

import pytest

from benchmarks import messages, translate


@pytest.mark.parametrize(("name", "raw"), [case[:2] for case in translate.CASES])
def test_each_measured_message_is_translated(name: str, raw: bytes) -> None:
    translate.ours(raw)
    translate.python_hl7(raw)


def test_the_messages_are_of_the_size_that_their_names_say() -> None:
    assert messages.small().count(b"\r") == 9
    assert messages.genomic().count(b"\rOBX|") == 71
    assert messages.laboratory().count(b"\rOBX|") == 404
    assert 580_000 < len(messages.document()) < 620_000
