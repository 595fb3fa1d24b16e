"""X.509 certificates: the names one gives, and when one ends. The home of `cryptography`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cryptography import x509

from gateway.errors import InvalidSetting

_FINGERPRINT = "sha256:"


def names_of(der: bytes) -> tuple[str, ...]:
    """Return the names by which a certificate is known, best first, its fingerprint last.

    DNS names, as written and in lower case; the common name only where there is none (RFC 6125
    6.4.4: an issuer held to certain DNS names is not held to them in a common name).
    """
    found: list[str] = []
    try:
        certificate = x509.load_der_x509_certificate(der)
        found = list(_dns_names(certificate)) or list(_common_names(certificate))
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        # What cannot be read names nobody; its fingerprint is still its own.
        found = []
    # A name must not pass for the fingerprint of another certificate.
    names = [name for name in found if name and not name.lower().startswith(_FINGERPRINT)]
    return (*dict.fromkeys(names), _FINGERPRINT + hashlib.sha256(der).hexdigest())


def _dns_names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    for name in names.value.get_values_for_type(x509.DNSName):
        yield name
        yield name.lower()


def _common_names(certificate: x509.Certificate) -> Iterator[str]:
    for attribute in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
        if isinstance(attribute.value, str):
            yield attribute.value


def not_after(path: Path) -> datetime:
    """Return when the first certificate to end in this PEM file ends, in UTC.

    Raises InvalidSetting when the file cannot be read as certificates.
    """
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise InvalidSetting("the certificate cannot be read") from error
    except ValueError as error:
        raise InvalidSetting("the file holds no certificate") from error
    return min(one.not_valid_after_utc for one in chain)
