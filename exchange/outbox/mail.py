"""Leads as e-mail, handed to the operator's own mail server."""

import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime
from enum import StrEnum
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib
from email_validator import EmailNotValidError, validate_email

from exchange.errors import SettingsError
from exchange.outbox.outcome import Failed, Outcome, Sent
from exchange.rules.templates import filled, filled_html, filled_line
from exchange.values.deliveries import Mail

TIMEOUT_S = 20.0
SUBJECT_CHARS_MAX = 250

_FORM = "must read smtp://user:password@host:587 (STARTTLS), smtps://… (TLS) or smtp+plain://… (no TLS)"


class Security(StrEnum):
    """How the connection to the mail server is protected; the words are those of the address."""

    STARTTLS = "smtp"
    TLS = "smtps"
    NONE = "smtp+plain"


_PORTS = {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}


@dataclass(frozen=True, slots=True)
class Relay:
    """The mail server that takes our mail, and the address that it comes from."""

    host: str
    port: int
    security: Security
    sender: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def relay_of(url: str | None, sender: str | None) -> Relay | None:
    """The mail server of the settings; None where there is none. Raises SettingsError for what cannot be one."""
    if url is None:
        return None
    parts = urlsplit(url)
    try:
        security, port = Security(parts.scheme), parts.port
    except ValueError:
        raise SettingsError(f"EXCHANGE_SMTP_URL {_FORM}") from None
    if not parts.hostname or parts.path not in {"", "/"} or (parts.username is None) != (parts.password is None):
        raise SettingsError(f"EXCHANGE_SMTP_URL {_FORM}")
    try:
        found = validate_email(sender or "", check_deliverability=False, allow_smtputf8=False).normalized
    except EmailNotValidError:
        raise SettingsError("EXCHANGE_SMTP_FROM must be the e-mail address that deliveries come from") from None
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    return Relay(parts.hostname, port or _PORTS[security], security, found, user, password)


def compose(
    identifier: UUID, made_at: datetime, sender: str, mail: Mail, values: dict[str, str], *, test: bool
) -> EmailMessage:
    """A message that is the same however often it is sent: it has the same Message-ID and date.

    Values cannot become headers or markup: the subject is one line, and in HTML they are text.
    """
    message = EmailMessage(policy=POLICY)
    subject = filled_line(mail.subject, values, SUBJECT_CHARS_MAX)
    message["Subject"] = f"[test] {subject}" if test else subject
    message["From"] = Address(addr_spec=sender)
    message["To"] = [Address(addr_spec=address) for address in mail.to]
    message["Date"] = format_datetime(made_at)
    message["Message-ID"] = f"<{identifier}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(filled(mail.text, values), cte="quoted-printable")
    if mail.html is not None:
        message.add_alternative(filled_html(mail.html, values), subtype="html", cte="quoted-printable")
    return message


async def send(relay: Relay, message: EmailMessage, to: tuple[str, ...], tls: ssl.SSLContext) -> Outcome:
    """Hands a message over; it has arrived when the server has taken it for all recipients."""
    client = aiosmtplib.SMTP(
        hostname=relay.host,
        port=relay.port,
        username=relay.user,
        password=relay.password,
        timeout=TIMEOUT_S,
        use_tls=relay.security is Security.TLS,
        start_tls=relay.security is Security.STARTTLS,
        tls_context=None if relay.security is Security.NONE else tls,
    )
    try:
        await client.connect()
        refused, _ = await client.send_message(message, sender=relay.sender, recipients=list(to))
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        return _failed(error)
    finally:
        client.close()
    if refused:
        return Failed(f"{len(refused)} of {len(to)} recipients refused", is_final=True)
    return Sent()


def _failed(error: Exception) -> Failed:
    """What went wrong, without the server's words: they may repeat an address. What it will not have is final."""
    name = type(error).__name__
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            codes = sorted({refused.code for refused in error.recipients})
            return Failed(
                f"all recipients refused: {', '.join(map(str, codes))}", is_final=min(codes, default=0) >= 500
            )
        case aiosmtplib.SMTPAuthenticationError():
            return Failed(f"the mail server refused the login: {error.code}")
        case aiosmtplib.SMTPDataError() | aiosmtplib.SMTPSenderRefused():
            return Failed(f"the mail server refused the message: {error.code}", is_final=error.code >= 500)
        case aiosmtplib.SMTPResponseException():
            return Failed(f"{name} {error.code}")
    return Failed(name)
