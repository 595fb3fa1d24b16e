from __future__ import annotations

import pytest

from gateway.errors import InvalidValue, MessageTooLarge
from gateway.wire.xml import read_xml

HTML = "http://www.w3.org/1999/xhtml"


def test_a_document_becomes_a_tree() -> None:
    root = read_xml(b'<a xmlns="urn:n" x="1"><!-- c --><b>t<c/>u</b><?p i?></a>')
    assert (root.name, root.namespace, dict(root.attributes)) == ("a", "urn:n", {"x": "1"})
    (b,) = root.children
    assert (b.text, [one.name for one in b.children]) == ("tu", ["c"])


def test_a_namespace_is_kept_as_it_was_written() -> None:
    root = read_xml(
        f'<a xmlns="urn:n"><div xmlns="{HTML}"><b>x</b> &amp; y</div></a>'.encode(),
        verbatim=frozenset({HTML}),
    )
    assert root.children[0].source == f'<div xmlns="{HTML}"><b>x</b> &amp; y</div>'


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"<a>", b"\xff\xfe", b"<a/><b/>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;&b;&b;">]><a>&c;</a>',
        b"<!DOCTYPE a><a/>",
        b"<a>" * 150 + b"</a>" * 150,
        b"<a>" * 100_000,
    ],
    ids=range(11),
)  # fmt: skip
def test_what_could_do_harm_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidValue):
        read_xml(raw)


def test_a_document_has_a_size() -> None:
    with pytest.raises(MessageTooLarge):
        read_xml(b"<a>" + b" " * 100 + b"</a>", largest=100)
