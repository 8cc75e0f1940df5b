"""Values of a market file that the world outside must understand: time zones, regions, addresses, headers, secrets."""

import base64
import binascii
import re
from functools import cache
from ipaddress import IPv6Address
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email
from phonenumbers import SUPPORTED_REGIONS
from pydantic import PlainValidator

from exchange.marketfile.limits import SECRET_CHARS_MAX, URL_CHARS_MAX
from exchange.marketfile.problems import shown, wrong
from exchange.marketfile.scalars import as_text, refuse, text, written
from exchange.marketfile.secrets import is_malformed, literal
from exchange.rules.signing import key_of

_URL_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*", re.ASCII)
_NETLOC = re.compile(
    r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>(?:[A-Za-z0-9_][A-Za-z0-9_-]{0,62}\.)*[A-Za-z0-9_][A-Za-z0-9_-]{0,62}\.?))"
    r"(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)
_HOST_CHARS_MAX = 253
_PORT_MAX = 65_535

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)  # RFC 9110, 5.6.2
_QUERY_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]*", re.ASCII)
_PRINTABLE = re.compile(r"[\x20-\x7e]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

OWN_HEADERS = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "idempotency-key",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
"""Headers that the exchange writes itself, besides all that start with `exchange-` or `proxy-`."""


def zone(value: object) -> str:
    """A time zone of the IANA database."""
    found = text(value)
    if found not in _zones():
        near = next((name for name in _zones() if name.lower() == found.replace(" ", "_").lower()), None)
        hint = f"; did you mean {near}?" if near else ""
        raise refuse(f"there is no time zone {shown(found)}: write it as America/New_York{hint}")
    return found


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def region(value: object) -> str:
    """The region whose phone numbers may be written without a country code."""
    found = text(value)
    if found not in SUPPORTED_REGIONS:
        raise refuse(f"there is no region {shown(found)}: write two capital letters such as US")
    return found


def currency(value: object) -> str:
    """A currency's code."""
    found = as_text(value)
    if found is None or not re.fullmatch(r"[A-Z]{3}", found):
        wanted = "three capital letters such as USD"
        raise refuse(wrong(wanted, value) if found is None else f"must be {wanted}, not {shown(found)}")
    return found


def url(value: object) -> str:
    """An http or https address that goes on the wire as it stands."""
    if not isinstance(value, str):
        raise refuse(wrong("an address such as https://buyer.example/ping", value))
    if len(value) > URL_CHARS_MAX:
        raise refuse(f"is longer than {URL_CHARS_MAX:,} characters")
    if "#" in value:
        raise refuse("must not have a fragment (#)")
    if not _URL_CHARACTERS.fullmatch(value):
        raise refuse("holds a blank or another character that must be written as %XX")
    _check_url(value)
    return value


def _check_url(value: str) -> None:
    try:
        parts = urlsplit(value)
    except ValueError:
        raise refuse("has no valid host and port") from None
    if parts.scheme not in {"http", "https"}:
        raise refuse("must start with http:// or https://")
    if "@" in parts.netloc:
        raise refuse("must not hold a user or password: use auth")
    if not _leads_to_host(parts.netloc):
        raise refuse("has no valid host and port")


def _leads_to_host(netloc: str) -> bool:
    match = _NETLOC.fullmatch(netloc)
    if match is None or not 0 < int(match["port"] or 80) <= _PORT_MAX:
        return False
    if match["address"] is None:
        return len(match["name"]) <= _HOST_CHARS_MAX
    try:
        IPv6Address(match["address"])
    except ValueError:
        return False
    return True


def host(value: object) -> str:
    """The name or address of a server."""
    if not isinstance(value, str):
        raise refuse(wrong("the name of a server such as files.buyer.example", value))
    shown_host = f"[{value}]" if ":" in value else value
    if not _leads_to_host(shown_host):
        raise refuse("is no valid host: its name or address alone")
    return value


def mail_address(value: object) -> str:
    """An e-mail address."""
    if not isinstance(value, str):
        raise refuse(wrong("an e-mail address", value))
    try:
        return validate_email(value, check_deliverability=False, allow_smtputf8=False).normalized
    except EmailNotValidError:
        raise refuse(f"is no e-mail address: {shown(value)}") from None


def host_key(value: object) -> str:
    """A server's public key as `known_hosts` has it, without the host."""
    found = text(value).split()
    try:
        blob = base64.b64decode(found[1], validate=True) if len(found) >= 2 else b""
    except (binascii.Error, ValueError):
        blob = b""
    if len(found) < 2 or blob[4 : 4 + int.from_bytes(blob[:4])] != found[0].encode():
        raise refuse("must be the server's public key such as ssh-ed25519 AAAA…, as ssh-keyscan shows it")
    return " ".join(found[:2])


def header_name(value: object) -> str:
    """The name of a header that a buyer wants his secret in."""
    if not isinstance(value, str) or not _HEADER_NAME.fullmatch(value):
        raise refuse("must be the name of a header: letters, digits and '-', up to 64" if value else "is empty")
    lower = value.lower()
    if lower == "authorization":
        raise refuse("is written by the exchange: use bearer or basic")
    if lower in OWN_HEADERS or lower.startswith(("exchange-", "proxy-")):
        raise refuse("is written by the exchange itself: choose another header")
    return value


def query_name(value: object) -> str:
    """The name of a part of a URL's query."""
    found = text(value)
    if not _QUERY_NAME.fullmatch(found):
        raise refuse("must be a name of letters, digits, '-', '_', '.', '[' and ']', up to 64")
    return found


def bearer(value: object) -> str:
    """A bearer token: no blanks."""
    return _secret(value, _VISIBLE, "holds a blank or a character that is not ASCII")


def header_value(value: object) -> str:
    """A header's value: printable, no blanks at its ends."""
    found = _secret(value, _PRINTABLE, "holds a control character or one that is not ASCII")
    if found != found.strip():
        raise refuse("has blanks at its ends")
    return found


def password(value: object) -> str:
    """A password: anything without control characters."""
    found = _secret(value)
    if _CONTROL.search(found):
        raise refuse("holds a control character")
    return found


def signing_secret(value: object) -> str:
    """A secret of Standard Webhooks: one that is written out must have a key's form."""
    found = _secret(value, _VISIBLE, "holds a blank or a character that is not ASCII")
    if literal(found) == found and key_of(found) is None:
        raise refuse("must be whsec_ and 24 to 64 bytes in base64")
    return found


def private_key(value: object) -> str:
    """A private key as OpenSSH writes it, of several lines."""
    return _secret(value)


def user(value: object) -> str:
    """A user name, which is no secret."""
    found = text(value)
    if "${" in found:
        raise refuse("is no secret: ${env:NAME} is read in the password only")
    if ":" in found or _CONTROL.search(found):
        raise refuse("must not hold ':' or a control character")
    return found


def _secret(value: object, allowed: re.Pattern[str] | None = None, otherwise: str = "") -> str:
    """A secret as written, its references well formed. No message repeats any of it."""
    found = as_text(value)
    if found is None:
        raise refuse(wrong("text", value))
    if not found.strip():
        raise refuse("is empty")
    if len(found) > SECRET_CHARS_MAX:
        raise refuse(f"is longer than {SECRET_CHARS_MAX:,} characters")
    if is_malformed(found):
        raise refuse("a secret from the environment is written ${env:NAME}")
    if allowed is not None and not allowed.fullmatch(literal(found)):
        raise refuse(otherwise)
    return found


_URL = written({"type": "string", "pattern": "^https?://"})
_SECRET = written({"type": ["string", "integer"]})

Zone = Annotated[str, PlainValidator(zone, str)]
Region = Annotated[str, PlainValidator(region, str)]
Currency = Annotated[str, PlainValidator(currency, written({"type": "string", "pattern": "^[A-Z]{3}$"}))]
Url = Annotated[str, PlainValidator(url, _URL)]
UrlOrNone = Annotated[str | None, PlainValidator(lambda value: None if value is None else url(value), _URL | None)]
HeaderName = Annotated[str, PlainValidator(header_name, str)]
QueryName = Annotated[str, PlainValidator(query_name, str)]
HeaderValue = Annotated[str, PlainValidator(header_value, _SECRET)]
Bearer = Annotated[str, PlainValidator(bearer, _SECRET)]
User = Annotated[str, PlainValidator(user, _SECRET)]
Password = Annotated[str, PlainValidator(password, _SECRET)]
Host = Annotated[str, PlainValidator(host, str)]
MailAddress = Annotated[str, PlainValidator(mail_address, str)]
HostKey = Annotated[str, PlainValidator(host_key, str)]
SigningSecret = Annotated[str, PlainValidator(signing_secret, _SECRET)]
PrivateKey = Annotated[str, PlainValidator(private_key, _SECRET)]
