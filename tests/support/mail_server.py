"""A mail server on loopback that keeps what it took, and can be told to refuse, or to hang up."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

USER, PASSWORD = "exchange", "p@ss/word"


@dataclass
class Mailbox:
    """What it took, and how.

    `refuses` are addresses that it does not know; `says` is its answer to messages, None: it hangs up instead.
    `dies_at` is a word at which it hangs up before it answers, or `MESSAGE`: once it has asked for one. `waits` keeps
    it silent at a word.
    """

    port: int = 0
    taken: list[bytes] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refuses: tuple[str, ...] = ()
    says: str | None = "250 taken"
    was_secure: list[bool] = field(default_factory=list)
    was_known: list[bool] = field(default_factory=list)
    dies_at: str = ""
    refusal: str = "550 no such user"
    dies_after_bytes: int | None = None
    """Of a message: how much of it comes before it hangs up."""
    waits: dict[str, asyncio.Event] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    """Those of the words above that it has heard."""

    @property
    def messages(self) -> list[EmailMessage]:
        parser = BytesParser(policy=policy.default)
        return [parser.parsebytes(raw) for raw in self.taken]

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's names
        self, _server: Any, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self.refuses:
            return self.refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.taken.append(envelope.content)
        self.recipients.append(list(envelope.rcpt_tos))
        self.was_secure.append(session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None)
        self.was_known.append(bool(session.authenticated))
        if "END" in self.waits:
            await self.waits["END"].wait()
        if self.says is None:
            server.transport.abort()
            return "421 gone"
        return self.says


class _Mortal(SMTP):
    """Has an end at a word of its mailbox's choice."""

    async def _come_to(self, word: str) -> bool:
        box: Mailbox = self.event_handler
        box.words.append(word)
        if word in box.waits:
            await box.waits[word].wait()
        if box.dies_at == word and isinstance(self.transport, asyncio.Transport):
            self.transport.abort()
        return box.dies_at != word

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802  # aiosmtpd's names
        if await self._come_to("EHLO"):
            await super().smtp_EHLO(hostname)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if await self._come_to("MAIL"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        if await self._come_to("RCPT"):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if await self._come_to("DATA"):
            await super().smtp_DATA(arg)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        if await self._come_to("STARTTLS"):
            await super().smtp_STARTTLS(arg)

    def data_received(self, data: bytes) -> None:
        box: Mailbox = self.event_handler
        if box.dies_after_bytes is not None:
            box.dies_after_bytes -= len(data)
            if box.dies_after_bytes < 0 and isinstance(self.transport, asyncio.Transport):
                self.transport.abort()
                return
        super().data_received(data)

    async def push(self, status: Any) -> None:
        await super().push(status)
        if str(status).startswith("354") and not await self._come_to("MESSAGE"):
            raise ConnectionResetError


def _login(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()))


@asynccontextmanager
async def mail_server(tls: ssl.SSLContext | None = None, *, implicit: bool = False) -> AsyncIterator[Mailbox]:
    """Listens on a free port: with TLS at once, with STARTTLS required, or without either."""
    box = Mailbox()

    def connection() -> SMTP:
        return _Mortal(
            box,
            tls_context=None if implicit else tls,
            require_starttls=tls is not None and not implicit,
            authenticator=_login if tls is not None else None,
            auth_require_tls=not implicit,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0, ssl=tls if implicit else None)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()
