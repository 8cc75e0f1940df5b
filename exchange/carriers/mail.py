"""Leads as e-mail, handed to the operator's own mail server."""

import re
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

from exchange.carriers.departure import Departure, TooLate
from exchange.carriers.outcome import Arrival, Failed, Outcome, Sent
from exchange.errors import SettingsError
from exchange.rules.templates import filled, filled_html, filled_line
from exchange.settings import Settings
from exchange.values.deliveries import Mail

TIMEOUT_S = 20.0
_TAKEN, _GO_ON, _SHUTTING_DOWN, _FOR_GOOD = 250, 354, 421, 500
_DOT = re.compile(rb"^\.", re.MULTILINE)
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


def relay_from(settings: Settings) -> Relay | None:
    """As `relay_of`."""
    return relay_of(None if settings.smtp_url is None else settings.smtp_url.get_secret_value(), settings.smtp_from)


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


async def send(
    relay: Relay,
    message: EmailMessage,
    to: tuple[str, ...],
    tls: ssl.SSLContext,
    leaving: Departure,
    *,
    all_or_none: bool = False,
) -> Outcome:
    """Hands a message over; it has arrived when the server has taken it for all recipients.

    Where the server refuses some of them it goes to the others, or to nobody.
    """
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
        await client.mail(relay.sender)
        refused = await _refused(client, to)
        if refused and (all_or_none or len(refused) == len(to)):
            return _no_recipients(refused, len(to))
        await _hand_over(client, message, leaving)
    except TooLate:
        return Failed("it was too late to send it", arrival=Arrival.NOT_SENT)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        return _failed(error, leaving)
    finally:
        client.close()
    if refused:
        return Failed(f"{len(refused)} of {len(to)} recipients refused", is_final=True)
    return Sent()


async def _refused(client: aiosmtplib.SMTP, to: tuple[str, ...]) -> list[int]:
    """Names the recipients; with which codes some were refused."""
    codes = []
    for address in to:
        try:
            await client.rcpt(address)
        except aiosmtplib.SMTPRecipientRefused as refused:
            codes.append(refused.code)
    return codes


async def _hand_over(client: aiosmtplib.SMTP, message: EmailMessage, leaving: Departure) -> None:
    """The message itself, once the server has said that it may come (RFC 5321, 4.1.1.4)."""
    begun = await client.execute_command(b"DATA")
    if begun.code != _GO_ON:
        raise aiosmtplib.SMTPDataError(begun.code, begun.message)
    if client.protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("before the message")
    leaving.leave()
    client.protocol.write(_DOT.sub(b"..", message.as_bytes()) + b".\r\n")
    taken = await client.protocol.read_response(timeout=TIMEOUT_S)
    if taken.code != _TAKEN:
        raise aiosmtplib.SMTPDataError(taken.code, taken.message)


def _no_recipients(codes: list[int], count: int) -> Failed:
    """Nobody was sent anything: a no, where it is one for good."""
    is_final = min(codes) >= _FOR_GOOD
    arrival = Arrival.REFUSED if is_final else Arrival.NOT_SENT
    which = "all recipients" if len(codes) == count else f"{len(codes)} of {count} recipients"
    return Failed(f"{which} refused: {', '.join(map(str, sorted(set(codes))))}", is_final, arrival)


def _failed(error: Exception, leaving: Departure) -> Failed:
    """What went wrong, without the server's words: they may repeat an address. What it will not have is final."""
    name, code = type(error).__name__, error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None
    is_word = code is not None and 400 <= code < 600 and code != _SHUTTING_DOWN
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return Failed(f"the mail server refused the login: {error.code}", arrival=Arrival.NOT_SENT)
        case aiosmtplib.SMTPDataError() | aiosmtplib.SMTPSenderRefused() if is_word:
            is_final = error.code >= _FOR_GOOD
            arrival = Arrival.REFUSED if is_final or leaving.has_left else Arrival.NOT_SENT
            return Failed(f"the mail server refused the message: {error.code}", is_final, arrival)
    arrival = Arrival.UNKNOWN if leaving.has_left else Arrival.NOT_SENT
    return Failed(name if code is None else f"{name} {code}", arrival=arrival)
