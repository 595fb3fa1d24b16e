from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import InvalidSetting
from gateway.wire.certificate import names_of, not_after
from tests.receive.certificates import Authority

NAMES = {
    "DNS names before all": (("A", ["lims.example", "b.example"]), ["lims.example", "b.example"]),
    "the common name where there is no DNS name": (("Aberdeen LIMS", []), ["Aberdeen LIMS"]),
    "capitals as written, then in lower case": (
        ("", ["LIMS.example"]), ["LIMS.example", "lims.example"]),
    "a name that poses as a fingerprint is none": (("SHA256:00ff", []), []),
    "a DNS name that poses as a fingerprint is none": (("A", ["sha256:00ff"]), []),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_a_certificate_is_known_by(tmp_path: Path, case: str) -> None:
    (common_name, dns), names = NAMES[case]
    issued = Authority(tmp_path).issue(common_name, dns, file="one")
    assert names_of(issued.der) == (*names, issued.fingerprint)


def test_what_is_no_certificate_has_a_fingerprint_only() -> None:
    (only,) = names_of(b"no certificate")
    assert only.startswith("sha256:")


def test_a_chain_ends_with_its_first_certificate_to_end(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("one", days=10)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(authority.ca.read_bytes() + issued.files[0].read_bytes())
    end = not_after(chain)
    assert end == issued.certificate.not_valid_after_utc
    assert abs(end - datetime.now(UTC) - timedelta(days=10)) < timedelta(hours=1)
    assert not_after(authority.ca) > end


@pytest.mark.parametrize("content", [None, b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nx"])
def test_a_file_that_holds_no_certificate_is_said(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "one.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidSetting):
        not_after(path)
