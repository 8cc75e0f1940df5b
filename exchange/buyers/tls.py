"""The secure connections to buyers and the others who are sent something: whom they trust."""

import ssl
from pathlib import Path

import httpx

from exchange.errors import SettingsError

PROTOCOLS = ["http/1.1"]


def trusting_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """A context that checks certificates and names against the usual authorities, and those of a PEM file.

    Raises SettingsError where that cannot be read, or has no certificate.
    """
    context = bare_context(ca_file)
    context.set_alpn_protocols(PROTOCOLS)
    return context


def bare_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """As `trusting_context`, for what is not HTTP."""
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file is not None:
        check_authorities(ca_file)
        context.load_verify_locations(ca_file)
    return context


def check_authorities(ca_file: Path) -> None:
    """Raises SettingsError where the operator's own authorities cannot be read from a PEM file, or there are none."""
    alone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        ca_file.read_bytes()  # says what is wrong with the file itself; what follows does not always
        alone.load_verify_locations(ca_file)
    except ssl.SSLError as error:
        raise SettingsError(f"EXCHANGE_CA_FILE: {ca_file} has no certificates in PEM: {error.reason}") from None
    except OSError as error:
        raise SettingsError(f"EXCHANGE_CA_FILE: {ca_file} cannot be read: {error.strerror}") from None
    if not alone.cert_store_stats()["x509"]:
        raise SettingsError(f"EXCHANGE_CA_FILE: {ca_file} has no certificate")
