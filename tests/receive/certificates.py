"""A certificate authority of our own, made when a test runs; its keys live as long as the test."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, in memory and as PEM files."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    files: tuple[Path, Path]

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint(self) -> str:
        return "sha256:" + self.certificate.fingerprint(hashes.SHA256()).hex()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def _pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    protection = (
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )


class Authority:
    """Issues certificates into a folder; `ca` is the file that trusts them."""

    def __init__(self, folder: Path, name: str = "Test CA") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder(self._name, self._name, self._key.public_key(),
                                    x509.random_serial_number(), now - _DAY, now + 3650 * _DAY)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .sign(self._key, hashes.SHA256())
        )  # fmt: skip
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, common_name: str = "", dns: Sequence[str] = (), *, days: int = 90,
        purpose: x509.ObjectIdentifier = CLIENT, file: str = "", passphrase: bytes = b"",
    ) -> Issued:  # fmt: skip
        """Make a certificate that ends in so many days, and its files."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            self._name, _name(common_name), key.public_key(), x509.random_serial_number(),
            now - 365 * _DAY, now + days * _DAY,
        ).add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)  # fmt: skip
        names: list[x509.GeneralName] = [x509.DNSName(one) for one in dns]
        if purpose == SERVER:
            names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        stem = file or (dns[0] if dns else common_name)
        paths = self._folder / f"{stem}.crt", self._folder / f"{stem}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(_pem(key, passphrase))
        return Issued(certificate, key, paths)

    def revoke(self, *issued: Issued) -> bytes:
        """Return a revocation list in PEM."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder(self._name, now - _DAY, now + _DAY)
        for one in issued:
            revoked = x509.RevokedCertificateBuilder(one.certificate.serial_number, now - _DAY)
            builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def client(self, issued: Issued | None = None) -> ssl.SSLContext:
        """Return the TLS of a client that trusts this authority."""
        context = ssl.create_default_context(cafile=self.ca)
        if issued:
            context.load_cert_chain(*issued.files)
        return context
