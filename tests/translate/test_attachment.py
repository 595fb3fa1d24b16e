from __future__ import annotations

import base64

import pytest

from gateway.errors import Hold, InvalidAttachment
from gateway.report import Attachment
from gateway.translate.attachment import Document, documents, find_document
from tests.translate.segments import message

PDF = b"%PDF-1.4\n" + bytes(range(256)) * 20 + b"\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
RTF = b"{\\rtf1 words}"
TIFF = b"II*\x00" + bytes(40)


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _documents(*lines: str) -> tuple[Document, ...]:
    given = message(*lines)
    return documents(given.all("OBX"), given)


def _attachment(line: str) -> Attachment | None:
    (found,) = _documents(line)
    assert found.problem == ""
    return found.attachment


@pytest.mark.parametrize(
    "value",
    [
        "{}",
        "^IGene^application/pdf^Base64^{}",
        "LAB^AP^PDF^Base64^{}",
        "^^{}",
        " {}",
        "^IGene^application/pdf^Base64^{}^",
    ],
)
@pytest.mark.parametrize("kind", ["ED", "CE", "TX", "FT", "ST", "", "ZZ"])
def test_a_pdf_is_found_by_content_under_any_type(kind: str, value: str) -> None:
    line = f"OBX|1|{kind}|51969-4^^LN||{value.format(b64(PDF))}"
    assert _attachment(line) == Attachment("application/pdf", PDF, "", "OBX[1]-5")
    given = message(line)
    assert find_document(given, given.segments[0]) == _attachment(line)


@pytest.mark.parametrize("mark", ["\r\n", "\n  ", "\\.br\\", "\\X0D0A\\", "\\X0A\\"])
def test_line_breaks_in_base64_are_no_part_of_it(mark: str) -> None:
    text = b64(PDF)
    wrapped = mark.join(text[start : start + 76] for start in range(0, len(text), 76))
    found = _attachment(f"OBX|1|ED|X||^^PDF^Base64^{wrapped}")
    assert found is not None
    assert found.content == PDF


def test_missing_padding_is_forgiven() -> None:
    content = PDF + b" "
    assert b64(content).endswith("=")
    found = _attachment(f"OBX|1|ED|X||^^PDF^Base64^{b64(content).rstrip('=')}")
    assert found is not None
    assert found.content == content


@pytest.mark.parametrize("size", [1000, 1001, 1002, 1003, 4999])
def test_pieces_under_one_code_are_joined_in_order(size: int) -> None:
    text = b64(PDF * 2)
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    lines = (f"OBX|1|ED|PDF^Report^L||^^PDF^Base64^{piece}" for piece in pieces)
    (found,) = _documents(*lines, "OBX|9|TX|PDF^Report^L||Words")
    assert found.attachment is not None
    assert found.attachment.content == PDF * 2
    assert len(found.segments) == len(pieces)


def test_pieces_that_were_encoded_one_by_one_are_joined_too() -> None:
    pieces = [PDF[:1000], PDF[1000:2000], PDF[2000:]]
    (found,) = _documents(*(f"OBX|1|TX|PDF||{b64(piece)}" for piece in pieces))
    assert found.attachment is not None
    assert found.attachment.content == PDF


def test_two_whole_documents_under_one_code_stay_two() -> None:
    first, second = _documents(f"OBX|1|ED|X||{b64(PDF)}", f"OBX|2|ED|X||{b64(PDF + b' ')}")
    assert [len(one.segments) for one in (first, second)] == [1, 1]
    assert second.place == "OBX[2]-5"


def test_a_word_after_a_whole_document_is_no_piece_of_it() -> None:
    (found,) = _documents(f"OBX|1|TX|X||{b64(PDF)}", "OBX|2|TX|X||Authorised")
    assert [one.number for one in found.segments] == [1]


@pytest.mark.parametrize(
    ("label", "content", "media_type"),
    [
        ("", PNG, "image/png"),
        ("", RTF, "application/rtf"),
        ("^IM^TIFF^Base64^", TIFF, "image/tiff"),
        ("^IM^image/jpeg^Base64^", b"\xff\xd8\xff\xe0" + bytes(40), "image/jpeg"),
        ("^AP^Octet-stream^Base64^", b"anything at all", "application/octet-stream"),
    ],
)
def test_other_documents_are_found_when_that_is_sure(
    label: str, content: bytes, media_type: str
) -> None:
    found = _attachment(f"OBX|1|ED|X||{label}{b64(content)}")
    assert found is not None
    assert (found.media_type, found.content) == (media_type, content)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (f"^^PDF^Base64^{b64(PDF)[:-900]}", "cut short"),
        (f"^^PDF^Base64^{b64(PDF)[:400]}!{b64(PDF)[400:]}", "broken"),
        ("^^PDF^Base64^", "declared as PDF"),
        (f"^^application/pdf^Base64^{b64(b'plain words')}", "declared as PDF"),
        (f"^IM^JPEG^Base64^{b64(b'plain words')}", "declared as JPEG"),
        ("^IM^JPEG^Base64^not!base64", "broken"),
    ],
)
def test_a_broken_document_is_named_and_holds_the_message(value: str, problem: str) -> None:
    (found,) = _documents(f"OBX|1|ED|X||{value}")
    assert problem in found.problem
    assert (found.attachment, found.place) == (None, "OBX[1]-5")
    given = message(f"OBX|1|ED|X||{value}")
    with pytest.raises(InvalidAttachment) as caught:
        find_document(given, given.segments[0])
    assert (caught.value.where, caught.value.hold) == ("OBX[1]-5", Hold.ATTACHMENT)


def test_a_pointer_to_a_pdf_on_the_web_is_a_document_without_content() -> None:
    found = _attachment("OBX|1|RP|X||https://lab.example/r?a=1\\T\\b=2^LIMS^application^pdf")
    assert found == Attachment(
        "application/pdf", b"", "", "OBX[1]-5", "https://lab.example/r?a=1&b=2"
    )


@pytest.mark.parametrize(
    "line",
    [
        "OBX|1|RP|X||https://lab.example/slide^LIMS^image^MRXS",
        "OBX|1|RP|X||store/report.pdf^LIMS^application^pdf",
        "OBX|1|TX|X||A long line of words that is nothing else",
        "OBX|1|CWE|X||LA6576-8^Positive^LN",
        "OBX|1|ED|X||^TEXT^plain^A^Words",
        "OBX|1|NM|X||5",
        "OBX|1|NM|X||",
    ],
)
def test_what_is_no_document_is_left_to_others(line: str) -> None:
    assert _documents(line) == ()
    given = message(line)
    assert find_document(given, given.segments[0]) is None
