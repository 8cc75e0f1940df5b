"""Covers an endpoint's secrets in what is sent and answered, in every way in which they may be written there."""

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote, quote_plus

from exchange.buyers.credentials import auth_headers
from exchange.buyers.dialects.sources import ABSENT, Facts, compile_source, text_of
from exchange.buyers.dialects.wire import Unsendable
from exchange.marketfile.masking import COVER
from exchange.marketfile.secrets import REFERENCE, resolve
from exchange.values.auth import AuthKind
from exchange.values.mapping import Origin
from exchange.values.market import Endpoint
from exchange.wires import secrets_of

_CHARSETS = ("utf-8", "iso-8859-1", "windows-1252", "us-ascii")


class Cover:
    """The secrets of one endpoint, to be found again in bytes and texts."""

    def __init__(self, endpoint: Endpoint, environment: Mapping[str, str], facts: Facts, token: str = "") -> None:
        """`facts` is anything that is sent to the endpoint: a secret may be written in upper case, or cut.

        `token` is the access token, where there is one.
        """
        texts = {text for text in (*_secrets(endpoint, environment, facts), token) if text}
        forms = {form for text in texts for form in _written(text)}
        found = sorted(forms, key=lambda form: (-len(form), form))  # the longest first: one may be part of another
        self._pattern = re.compile(b"|".join(map(re.escape, found)), re.IGNORECASE) if found else None

    def content(self, content: bytes) -> bytes:
        """The content with `***` for every secret."""
        return content if self._pattern is None else self._pattern.sub(COVER.encode(), content)

    def text(self, content: str) -> str:
        """As `content`, of a text."""
        return self.content(content.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")


def _secrets(endpoint: Endpoint, environment: Mapping[str, str], facts: Facts) -> Iterator[str]:
    found = secrets_of(endpoint, environment) or {}
    yield from found.values()
    for template in (*found, *endpoint.signing):
        yield resolve(template, environment) or ""
        yield from (environment.get(name, "") for name in REFERENCE.findall(template))
    if endpoint.auth.kind is AuthKind.BASIC:
        for value in auth_headers(endpoint.auth, found.get(endpoint.auth.secret, "")).values():
            yield value.rpartition(" ")[2]
    for message in endpoint.mapping.messages if endpoint.mapping else ():
        for source in message.sources():
            if source.origin is Origin.SECRET:
                with suppress(Unsendable):  # what cannot be written is not sent
                    value = compile_source(replace(source, when=None), found, "")(facts)
                    yield "" if value is ABSENT else text_of(value)


def _written(text: str) -> Iterator[bytes]:
    """The forms that a text has in JSON, XML, forms, URLs and headers."""
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    ascii_only = json.dumps(text)[1:-1]
    marked = html.escape(text, quote=False)
    quoted = marked.replace('"', "&quot;")
    forms = {text, plain, ascii_only, plain.replace("/", r"\/"), ascii_only.replace("/", r"\/")}
    forms |= {marked, quoted, html.escape(text), quoted.replace("'", "&apos;")}
    for charset in _CHARSETS:
        yield from (form.encode(charset, "xmlcharrefreplace") for form in forms)
        for write in (quote, quote_plus):
            yield write(text, encoding=charset, errors="replace").encode()
            yield write(text, safe="", encoding=charset, errors="replace").encode()
    yield base64.b64encode(text.encode())
