"""The operators' door: why a ping went as it did, and the market with its versions, read and changed over HTTP.

It is not a busy door: FastAPI reads its requests. Whatever takes a whole market in hand runs beside the event loop, one
at a time, so that pings are not kept waiting.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import ValidationError

from exchange import json_pieces
from exchange.answers import rfc3339
from exchange.api import admin_shapes as shapes
from exchange.api.admin_breakers import BreakerDoor
from exchange.api.admin_schema import deleting, putting, reading, reading_market, replacing, returning
from exchange.api.auth import holder_of
from exchange.api.body import JSON_TYPE, check_media_type, malformed
from exchange.api.choice import YAML_TYPE, prefers_yaml
from exchange.api.desk import read_uuid
from exchange.api.door import Arrival, ClientGone
from exchange.api.problems import unavailable
from exchange.errors import FieldError, MarketFileError, Problem
from exchange.live import LiveMarket
from exchange.marketfile import json_source, source
from exchange.marketfile.masking import mask
from exchange.marketfile.source import Document
from exchange.marketfile.writing import as_yaml
from exchange.past.recall import Past, Unreadable
from exchange.past.told import told
from exchange.proposal import Proposal, make, propose
from exchange.storage import catalogue
from exchange.storage.catalogue import MarketVersion
from exchange.storage.database import Database
from exchange.storage.keys import KeyHolder, KeyRing
from exchange.takeover.swapping import let_go

PREFIX = "/admin/v1"
SECTIONS = ("verticals", "campaigns", "sellers", "buyers", "orders")
BODY_BYTES_MAX = 16 * 1024 * 1024
"""A larger market is applied from the command line, off the gateways."""

SHOWN_MAX = 1_000
"""Changes and warnings in one answer."""

TRIES_MAX = 5
"""How often a change that names no version is tried again when another one came between."""

BEARER = HTTPBearer(scheme_name="key", auto_error=False)
Note = Annotated[str, Query(max_length=shapes.NOTE_LENGTH_MAX, description="Why, for the history.")]
DryRun = Annotated[bool, Query(description="Only say what would change.")]
IfMatch = Annotated[str | None, Header(description='The version that the change was made for, as "12".')]
Build = Callable[[MarketVersion | None], Document]
"""Makes the new document of the version in force."""


class AdminDoor:
    """The endpoints of the admin API, each for operators alone."""

    def __init__(self, database: Database, keys: KeyRing, live: LiveMarket) -> None:
        self._database = database
        self._keys = keys
        self._past = Past(database, lambda: live.book)
        self._turn = asyncio.Semaphore(1)
        self.router = APIRouter(prefix=PREFIX, tags=["admin"], dependencies=[Depends(self._admit)])
        self._add_routes()

    def _add_routes(self) -> None:
        add = self.router.add_api_route
        add("/pings/{ping_id}/explanation", self.explanation, **reading("Why a ping went as it did"))
        add("/market", self.market, **reading_market("The market in force, as a document"))
        add("/market", self.replace, **replacing("Replace the market"))
        add("/market/rollback", self.rollback, **returning("Make a version that is as an old one was"))
        add("/market/versions", self.versions, **reading("The market's versions, newest first"))
        whole = reading("One version of the market") | {"response_model": shapes.VersionWhole}
        add("/market/versions/{number}", self.version, **whole)
        for section in SECTIONS:
            put, delete = self._entry_routes(section)
            add(f"/market/{section}/{{key}}", put, **putting(f"Add or replace one of the {section}"))
            add(f"/market/{section}/{{key}}", delete, **deleting(f"Remove one of the {section}"))
        BreakerDoor(self._database, self.router)

    async def _admit(
        self, request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
    ) -> None:
        """Raises Problem 401 without a key that holds, 403 for a key that is no operator's."""
        holder = await holder_of(None if given is None else given.credentials, self._keys)
        if holder.role != "operator":
            raise Problem(403, "forbidden", "This key is no operator's.")
        request.state.holder = holder

    async def explanation(
        self, ping_id: str, replay: Annotated[bool, Query(description="Also run the auction again.")] = False
    ) -> shapes.ExplanationInfo:
        identifier = read_uuid(ping_id)
        async with self._turn:
            found = None if identifier is None else await self._past.explain(identifier, again=replay)
        if found is None:
            raise Problem(404, "unknown_ping", "There is no such ping.")
        if isinstance(found, Unreadable):
            raise Problem(404, "unknown_version", "The market version of this ping cannot be read.")
        return shapes.ExplanationInfo.model_validate(told(found))

    async def market(self, request: Request) -> Response:
        found = await catalogue.newest(self._database)
        if found is None:
            raise _no_market()
        media_type = YAML_TYPE if prefers_yaml(request.headers.getlist("accept")) else JSON_TYPE
        async with self._turn:
            text = await asyncio.to_thread(_written, found.document, media_type)
        return Response(text, media_type=media_type, headers={"ETag": _tag(found.version), "Vary": "Accept"})

    async def versions(
        self,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
        before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Only versions below this one.")] = None,
    ) -> shapes.VersionList:
        found = await catalogue.log(self._database, limit, before)
        return shapes.VersionList(
            versions=[
                shapes.VersionInfo(
                    version=item.version,
                    applied_at=rfc3339(item.created_at),
                    made_by=item.stamp.made_by,
                    note=item.stamp.note,
                    added=item.stamp.added,
                    changed=item.stamp.changed,
                    removed=item.stamp.removed,
                )
                for item in found
            ]
        )

    async def version(self, number: str) -> Response:
        found = await self._version(int(number) if number.isdecimal() and len(number) < 19 else 0)
        async with self._turn:
            return Response(await asyncio.to_thread(_version_written, found), media_type=JSON_TYPE)

    async def replace(
        self, request: Request, response: Response, dry_run: DryRun = False, note: Note = "", if_match: IfMatch = None
    ) -> shapes.Plan:
        document = await _document(request, YAML_TYPE)
        return await self._change(request, response, lambda _: document, dry_run=dry_run, note=note, if_match=if_match)

    async def rollback(
        self, request: Request, response: Response, dry_run: DryRun = False, if_match: IfMatch = None
    ) -> shapes.Plan:
        try:
            wish = shapes.Rollback.model_validate(await _document(request))
        except ValidationError as error:
            errors = [FieldError(".".join(map(str, e["loc"])), "wrong_type", e["msg"]) for e in error.errors()]
            raise Problem(422, "invalid_request", "The request has another shape.", errors=errors) from None
        old = await self._version(wish.to)
        note = wish.note or f"back to version {wish.to}"
        return await self._change(
            request, response, lambda _: old.document, dry_run=dry_run, note=note, if_match=if_match
        )

    def _entry_routes(self, section: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """The two endpoints that change one entry of a section."""

        async def put(
            request: Request,
            response: Response,
            key: str,
            dry_run: DryRun = False,
            note: Note = "",
            if_match: IfMatch = None,
        ) -> shapes.Plan:
            entry = await _document(request)
            build = _with_entry(section, key, entry)
            return await self._change(request, response, build, dry_run=dry_run, note=note, if_match=if_match)

        async def delete(
            request: Request,
            response: Response,
            key: str,
            dry_run: DryRun = False,
            note: Note = "",
            if_match: IfMatch = None,
        ) -> shapes.Plan:
            build = _without_entry(section, key)
            return await self._change(request, response, build, dry_run=dry_run, note=note, if_match=if_match)

        return put, delete

    async def _change(
        self, request: Request, response: Response, build: Build, *, dry_run: bool, note: str, if_match: str | None
    ) -> shapes.Plan:
        """Plans a change of the market in force and, unless it is only asked for, makes it."""
        holder: KeyHolder = request.state.holder
        async with self._turn:
            for _ in range(TRIES_MAX):
                live = await catalogue.newest(self._database)
                _check_version(if_match, live)
                proposal = await _proposal(live, build)
                made = proposal.base if dry_run else await make(self._database, proposal, note, holder.key_id)
                if made is not None:
                    response.headers["ETag"] = _tag(made)
                    plan = _plan(proposal, made)
                    await asyncio.to_thread(_empty, live, proposal)
                    going = let_go(proposal)
                    del proposal
                    await going
                    return plan
        raise unavailable()

    async def _version(self, number: int) -> MarketVersion:
        found = await catalogue.version(self._database, number)
        if found is None:
            raise Problem(404, "unknown_version", "There is no such version of the market.")
        return found


async def _document(request: Request, *types: str) -> Document:
    """The JSON object of a request, or what it holds in another of `types`.

    Raises Problem 413, 415, 400 or 422, checked in this order.
    """
    arrival = Arrival(request.url.path, request.scope["headers"], time.monotonic(), receive=request.receive)
    try:
        body = await arrival.body(BODY_BYTES_MAX)
    except ClientGone:
        raise malformed() from None  # nobody is there to read it
    if body is None:
        raise Problem(413, "too_large", f"The body may have at most {BODY_BYTES_MAX} bytes.")
    media_type = check_media_type(arrival.header(b"content-type") or "", *types)
    loads = source.loads if media_type == YAML_TYPE else json_source.loads
    try:
        return await asyncio.to_thread(loads, body)
    except MarketFileError as error:
        raise _invalid(error) from None
    except ValueError:
        raise malformed() from None


async def _proposal(live: MarketVersion | None, build: Build) -> Proposal:
    try:
        return await asyncio.to_thread(lambda: propose(live, build(live)))
    except MarketFileError as error:
        raise _invalid(error) from None


def _written(document: Document, media_type: str) -> bytes:
    """A market as text, with its secrets covered."""
    shown = mask(document)
    text = as_yaml(shown) if media_type == YAML_TYPE else json_pieces.dumps(shown)
    json_pieces.let_go(shown)
    json_pieces.let_go(document)
    return text.encode()


def _version_written(found: MarketVersion) -> bytes:
    """A version as JSON. It is written by hand, since its market is large."""
    info = shapes.VersionInfo(
        version=found.version, applied_at=rfc3339(found.created_at), made_by=found.made_by, note=found.note
    )
    return orjson.dumps(info.model_dump())[:-1] + b',"market":' + _written(found.document, JSON_TYPE) + b"}"


def _empty(live: MarketVersion | None, proposal: Proposal) -> None:
    """Empties documents that nobody needs any more; in a thread they go piece by piece."""
    json_pieces.let_go(proposal.document)
    if live is not None:
        json_pieces.let_go(live.document)


def _with_entry(section: str, key: str, entry: Document) -> Build:
    def build(live: MarketVersion | None) -> Document:
        if live is None:
            raise _no_market()
        return live.document | {section: (live.document.get(section) or {}) | {key: entry}}

    return build


def _without_entry(section: str, key: str) -> Build:
    def build(live: MarketVersion | None) -> Document:
        if live is None:
            raise _no_market()
        entries = dict(live.document.get(section) or {})
        if entries.pop(key, None) is None:
            raise Problem(404, "not_found", f"There is no such entry in {section}.")
        return live.document | {section: entries}

    return build


def _check_version(if_match: str | None, live: MarketVersion | None) -> None:
    """Raises Problem 412 where the request was made for another version than the one in force (RFC 9110, 13.1.1)."""
    if if_match is None or (live is not None and if_match.strip() == "*"):
        return
    version = live.version if live else 0
    if _tag(version) not in {part.strip() for part in if_match.split(",")}:
        raise Problem(412, "precondition_failed", f"Version {version} of the market is in force: look at it again.")


def _plan(proposal: Proposal, version: int) -> shapes.Plan:
    changes, warnings = proposal.changes, proposal.warnings
    return shapes.Plan(
        version=version,
        base=proposal.base,
        applied=version != proposal.base,
        changes=[
            shapes.ChangeInfo(kind=item.kind.value, path=item.path, before=item.before, after=item.after)
            for item in changes[:SHOWN_MAX]
        ],
        changes_left_out=max(0, len(changes) - SHOWN_MAX),
        warnings=[shapes.WarningInfo(path=item.path, message=item.message) for item in warnings[:SHOWN_MAX]],
        warnings_left_out=max(0, len(warnings) - SHOWN_MAX),
    )


def _invalid(error: MarketFileError) -> Problem:
    errors = [FieldError(item.path, "invalid_market", item.message) for item in error.problems[:SHOWN_MAX]]
    count = len(error.problems)
    detail = f"{count} problem{'s' if count > 1 else ''} in the market; nothing was changed."
    return Problem(422, "invalid_market", detail, errors=errors)


def _no_market() -> Problem:
    return Problem(404, "not_found", "No market has been applied.")


def _tag(version: int) -> str:
    return f'"{version}"'
