"""Certificates for `localhost`, of their own authority or another, and contexts that serve with them and trust them."""

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)
PEM = serialization.Encoding.PEM


def make_certificate(folder: Path, name: str = "localhost") -> Path:
    """A file with a key and a certificate that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(name, key, _named(name), key, is_authority=True)
    return _written(folder / f"{name}.pem", key, certificate)


def make_authority(folder: Path) -> tuple[Path, Path]:
    """A file with an authority's certificate alone, and one with the key and certificate that it gave `localhost`."""
    key, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = _named("Own Authority")
    authority = folder / "authority.pem"
    authority.write_bytes(_certificate("Own Authority", key, issuer, key, is_authority=True).public_bytes(PEM))
    certificate = _certificate("localhost", own, issuer, key, is_authority=False)
    return authority, _written(folder / "server.pem", own, certificate)


def serving_with(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def trusting(file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=file.read_text().partition("-----END PRIVATE KEY-----")[2])


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _written(file: Path, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> Path:
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file.write_bytes(key.private_bytes(PEM, *form) + certificate.public_bytes(PEM))
    return file
