"""`exchange buyer try` and `record`: a sample lead sent to an order's endpoint, and every byte of what was said."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from exchange import trial
from exchange.buyers.delivery import Courier
from exchange.buyers.dialects.wire import Ping, Post, Unsendable
from exchange.buyers.tls import trusting_context
from exchange.buyers.tokens import TIMEOUT_MS, Tokens
from exchange.case_files import loaded, recording
from exchange.covering import Cover
from exchange.dialect_cases import CaseError, compared, meaning
from exchange.errors import CommandError, FieldError
from exchange.marketfile.reader import read
from exchange.marketfile.secrets import has_unnamed_endpoint, references
from exchange.marketfile.source import Document, parse
from exchange.rules.intake import LeadReader
from exchange.storage import catalogue
from exchange.storage.database import Database
from exchange.trial import PING, POST, STATUS, Heard, Stage
from exchange.values.bid import Bid
from exchange.values.deliveries import kind_of
from exchange.values.market import Market, Sale
from exchange.values.money import format_amount
from exchange.values.vertical import Lead
from exchange.wires import STATUS_TIMEOUT_MS, Wire, Wires

SAMPLE_BYTES_MAX = 65_536
"""The largest file with a sample lead."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be tried: an order, a sample of a lead, whether it is posted, too, and marked as a test.

    With `status` the buyer is asked afterwards what became of the post.
    """

    order: str
    sample: Path
    post: bool
    test: bool
    status: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """A wish that can be fulfilled: `raw` is the endpoint as its market writes it; `ping` is one, sent or not."""

    stage: Stage
    wire: Wire
    raw: Document
    ping: Ping
    lead: Lead


@dataclass(frozen=True, slots=True)
class Tried:
    """What was said: `sent` are the messages with their exchanges, in order; `trouble` is why not all were sent."""

    prepared: Prepared
    cover: Cover
    sent: tuple[tuple[Ping | Post, Heard], ...]
    trouble: str = ""

    @property
    def is_well(self) -> bool:
        """Whether all was sent that was wished for, and all answers were clear."""
        return not self.trouble and all(heard.is_understood for _, heard in self.sent)


async def prepare(database: Database, wish: Wish, environment: Mapping[str, str]) -> Prepared:
    """Makes everything ready for a trial on the market in force. Raises CommandError where it cannot be."""
    found = await catalogue.newest(database)
    if found is None:
        raise CommandError("there is no market yet: apply a market file first")
    return prepared(read(found.document), found.document, wish, environment)


def prepared(market: Market, document: Document, wish: Wish, environment: Mapping[str, str]) -> Prepared:
    """As `prepare`, for a market with its document."""
    stage = trial.stage_of(market, wish.order, test=wish.test)
    if stage is None:
        raise CommandError(f"there is no order {wish.order} in the market")
    entry, sale = stage.entry, stage.entry.sale
    if sale is None:
        raise CommandError(f"{wish.order} takes no leads as campaign {stage.campaign} sells them")
    if entry.endpoint.means is not None:
        way = kind_of(entry.endpoint.means)
        raise CommandError(f"{wish.order} is delivered to by {way}: there is no answer to show. Send it a test lead")
    if stage.fixed_micros is not None and not wish.post:
        raise CommandError(f"{wish.order} has a fixed price and is not asked for bids: say --post to try its post")
    if wish.status and (not wish.post or entry.endpoint.status_url is None):
        missing = "say --post, too" if entry.endpoint.status_url else "the endpoint has no status_url"
        raise CommandError(f"there is no post whose status could be asked for: {missing}")
    if wish.test and not entry.endpoint.marks_tests:
        raise CommandError(
            f"the endpoint of {wish.order} cannot mark tests: the buyer would take the sample for a lead. "
            "Where he has agreed to that, say --not-a-test"
        )
    wire = Wires(environment).of(entry.buyer.key, entry.endpoint)
    if wire is None:
        path = f"buyers.{entry.buyer.key}.endpoint"
        unset = {name for where, name in references(market) if where.startswith(path) and not environment.get(name)}
        raise CommandError(f"a secret of the endpoint is not set, or cannot be sent: {', '.join(sorted(unset))}")
    ping_lead, lead = _leads(stage, wish)
    raw = document["buyers"][entry.buyer.key]
    written = raw["endpoint"] if has_unnamed_endpoint(entry.buyer) else raw["endpoints"][entry.endpoint.name]
    return Prepared(stage, wire, written, trial.ping_of(stage, sale, ping_lead), lead)


async def run(
    ready: Prepared, wish: Wish, environment: Mapping[str, str], *, allow_private: bool, ca_file: Path | None = None
) -> Tried:
    """Sends the ping and, where it is wished for, the post."""
    entry, courier = ready.stage.entry, Courier(allow_private=allow_private, tls=trusting_context(ca_file))
    tokens, cover = Tokens(courier), Cover(entry.endpoint, environment, ready.ping)
    sent: list[tuple[Ping | Post, Heard]] = []
    try:
        wire = Wires(environment, tokens).of(entry.buyer.key, entry.endpoint) or ready.wire
        if wire.access is not None:
            await wire.ready(TIMEOUT_MS / 1000)
            cover = Cover(entry.endpoint, environment, ready.ping, wire.access.now() or "")
        bid = _fixed(ready)
        if bid is None:
            heard = await trial.ask(courier, wire, ready.stage, ready.ping)
            sent.append((ready.ping, heard))
            bid = heard.found if isinstance(heard.found, Bid) else None
        if not wish.post:
            return Tried(ready, cover, tuple(sent))
        if bid is None:
            return Tried(ready, cover, tuple(sent), "there is no bid, so nothing was posted")
        post = trial.post_of(ready.ping, bid, ready.lead)
        sent.append((post, await trial.deliver(courier, wire, ready.stage, post)))
        if wish.status:
            sent.append((post._replace(lead={}), await trial.inquire(courier, wire, ready.stage, post)))
        return Tried(ready, cover, tuple(sent))
    except Unsendable as error:
        return Tried(ready, cover, tuple(sent), f"nothing more was sent: {error}")
    finally:
        await tokens.close()
        await courier.close()


def tried(
    ready: Prepared, wish: Wish, environment: Mapping[str, str], *, allow_private: bool, ca_file: Path | None
) -> Tried:
    """As `run`, from start to end."""
    return asyncio.run(run(ready, wish, environment, allow_private=allow_private, ca_file=ca_file))


def lines_of(found: Tried) -> list[str]:
    """What was said, for a person; secrets read `***`."""
    lines = [line for message, heard in found.sent for line in _told(found, message, heard)]
    return [*lines, f"{found.trouble[0].upper()}{found.trouble[1:]}."] if found.trouble else lines


def case_text(found: Tried, wish: Wish) -> str:
    """The last exchange as a case. Raises CommandError where there was no answer, or it cannot be written down."""
    if found.trouble or not found.sent:
        raise CommandError(f"nothing was recorded: {found.trouble}")
    message, heard = found.sent[-1]
    if heard.status is None:
        raise CommandError("nothing was recorded: there was no answer")
    what = "ping" if heard.kind == PING else "post"
    asked = "he was asked for the status of this post" if heard.kind == STATUS else f"this {what} was tried"
    why = f"What {found.prepared.stage.entry.buyer.key} answered when {asked}."
    body = found.cover.content(heard.body)
    given = {key: value for key, value in _given(message).items() if heard.kind != STATUS or key != "lead"}
    try:
        text = recording(why, heard.kind, given, found.prepared.raw, heard.status, body)
        again = loaded(parse(text), {})
        wrong = compared(again.case, again.endpoint, again.wire)
    except CaseError as error:
        raise CommandError(f"nothing was recorded: {error}") from error
    if wrong:
        raise CommandError(f"nothing was recorded, for it would not agree with itself: {wish.order} {wrong[0].what}")
    return text


def save(path: Path, text: str) -> None:
    """Writes a new file. Raises CommandError; a file that is there stays as it is."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error


def check_free(path: Path) -> None:
    """Raises CommandError where a file could not be written in the end: before anything is sent."""
    if path.exists():
        raise CommandError(f"{path} is there already")
    if not path.parent.is_dir():
        raise CommandError(f"there is no folder {path.parent}")


def _fixed(ready: Prepared) -> Bid | None:
    price, sale = ready.stage.fixed_micros, ready.ping.sale
    return None if price is None else Bid(price, sale=Sale.SHARED if sale is Sale.SHARED else Sale.EXCLUSIVE)


def _leads(stage: Stage, wish: Wish) -> tuple[Lead, Lead]:
    """The sample's part for a ping, and for a post all of it. Raises CommandError with every error."""
    raw, reader = _sample(wish.sample), LeadReader(stage.vertical)
    if wish.post:
        whole = reader.read_whole(raw)
        _check_sample(wish.sample, whole.errors)
        return whole.ping, whole.values
    ping = reader.read_ping(raw)
    _check_sample(wish.sample, ping.errors)
    return ping.values, ping.values


def _check_sample(path: Path, errors: tuple[FieldError, ...]) -> None:
    if errors:
        told = "; ".join(f"{error.field}: {error.detail}" for error in errors)
        raise CommandError(f"{path} is no lead that the campaign takes: {told}")


def _sample(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(SAMPLE_BYTES_MAX + 1)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > SAMPLE_BYTES_MAX:
        raise CommandError(f"{path} is larger than {SAMPLE_BYTES_MAX:,} bytes")
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise CommandError(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CommandError(f"{path} holds no JSON object with the fields of a lead")
    return found


def _given(message: Ping | Post) -> Document:
    """What a case is told of a message."""
    told: Document = {"lead": dict(message.lead), "test": message.test, "sale": message.sale.value}
    told["currency"] = message.currency
    if isinstance(message, Ping):
        return told | {"floor": format_amount(message.floor_micros)}
    bid_id = {} if message.bid_id is None else {"bid_id": message.bid_id}
    return told | {"price": format_amount(message.gross_micros)} | bid_id


def _told(found: Tried, message: Ping | Post, heard: Heard) -> list[str]:
    kind = {PING: "Ping to", POST: "Post to", STATUS: "Status query to"}[heard.kind]
    buyer, marked = found.prepared.stage.entry.buyer.key, "a test" if message.test else "a lead, not a test"
    lines = [f"{kind} {buyer}, as {marked}:", *_shown(">", found.cover.content(heard.request))]
    if heard.status is None:
        lines.append("No answer.")
    else:
        lines += [f"Answer: status {heard.status}", *_shown("<", found.cover.content(heard.body))]
    said = ", ".join(f"{key}: {value}" for key, value in meaning(heard.found).items())
    return [*lines, f"It means: {_plain(found.cover.text(said))}", _time(found, heard), ""]


def _time(found: Tried, heard: Heard) -> str:
    endpoint = found.prepared.stage.entry.endpoint
    times_ms = {PING: endpoint.ping_timeout_ms, POST: endpoint.post_timeout_ms, STATUS: STATUS_TIMEOUT_MS}
    may_ms = times_ms[heard.kind]
    late = "; an auction would not have waited for it" if heard.elapsed_ms > may_ms else ""
    return f"It took {heard.elapsed_ms} ms with connecting, of {may_ms} ms{late}."


def _shown(mark: str, content: bytes) -> list[str]:
    """Bytes as lines; what a terminal would obey is spelled out."""
    text = content.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    return [f"{mark} {_plain(line)}".rstrip() for line in text.split("\n")]


def _plain(text: str) -> str:
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
