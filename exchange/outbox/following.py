"""Following deliveries: the lead that was sold, opened at the last moment, to its buyer and nobody else."""

import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, assert_never

import orjson
import structlog
from cryptography.exceptions import InvalidTag

from exchange.buyers.delivery import Courier
from exchange.buyers.tokens import Tokens
from exchange.carriers import documents, mail
from exchange.carriers.deciding import NO_RELAY
from exchange.carriers.departure import Departure
from exchange.carriers.documents import Parcel
from exchange.carriers.file import login_of
from exchange.carriers.files import FileServers, file_of
from exchange.carriers.mail import Relay
from exchange.carriers.outcome import NO_SECRET, Failed, Outcome
from exchange.marketfile.secrets import signing_keys
from exchange.outbox import http
from exchange.outbox.conditions import Circumstances, kept_back
from exchange.outbox.market import Directory
from exchange.outbox.outcome import GONE, Fate
from exchange.plans import delivered_post
from exchange.storage import outbox, sold
from exchange.storage.database import Database
from exchange.storage.outbox import Item
from exchange.storage.sold import Sold
from exchange.storage.vault import Vault
from exchange.values.deliveries import Call, FileFormat, Files, Following, LeadWebhook, Mail
from exchange.values.vertical import Lead, Vertical
from exchange.wires import Wires

ERASED = Failed(outbox.ERASED, is_final=True)
NOT_SOLD = Failed("the sale was corrected: there is none any more", is_final=True)
OTHER_BUYER = Failed("the order is another buyer's by now", is_final=True)
NOT_OPENED = Failed("the lead cannot be opened with this master key")
LATER = Failed("too many to be sent at once")

EACH_WITHIN_S = 150.0
"""Well within the lease of those that were taken together."""

log = structlog.get_logger(__name__)

Outcomes = list[tuple[Sequence[Item], Fate]]


class Opened(NamedTuple):
    """A row with what it stands for."""

    item: Item
    parcel: Parcel


class Followings:
    """Sends what follows sales."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        courier: Courier,
        vault: Vault,
        environment: Mapping[str, str],
        tokens: Tokens,
        relay: Relay | None,
        tls: ssl.SSLContext,
        *,
        allow_private: bool,
    ) -> None:
        """`tls` says whom to trust, but for webhooks, whose courier knows."""
        self._database = database
        self._directory = directory
        self._courier = courier
        self._vault = vault
        self._environment = environment
        self._wires = Wires(environment, tokens)
        self._relay = relay
        self._tls = tls
        self._servers = FileServers(tls, allow_private=allow_private)

    def close(self) -> None:
        self._servers.close()

    async def send(self, items: Sequence[Item]) -> Outcomes:
        """Sends rows of one delivery: several go into one file. What cannot be sent does not keep the others back."""
        first = items[0]
        following = self._directory.following(first.subject, first.name)
        if following is None:
            return [(items, GONE)]
        outcomes: Outcomes = []
        opened: list[Opened] = []
        for item in items:
            found = await self._open(item)
            kept = await self._kept_back(following, found) if isinstance(found, Opened) else found
            if kept is not None:
                outcomes.append(([item], kept))
            elif isinstance(found, Opened):
                opened.append(found)
        match following.means:
            case LeadWebhook() as webhook:
                sent = await _each(opened, partial(self._call, webhook))
            case Mail() as message:
                sent = await _each(opened, partial(self._mail, message))
            case Files() as way:
                sent = await self._put(way, opened)
            case Call() as call:
                sent = await _each(opened, partial(self._ask, call))
            case _:
                assert_never(following.means)
        return [*outcomes, *sent]

    async def _open(self, item: Item) -> Opened | Failed:
        """A row with its lead, where it may go to this order's buyer."""
        found = None if item.attempt_id is None else await sold.find(self._database, item.attempt_id)
        order = self._directory.order(item.subject)
        if found is None:
            return NOT_SOLD
        if order is None or order.buyer != found.plan.buyer:
            return OTHER_BUYER
        if not found.post.sealed.key:
            return ERASED
        try:
            lead = orjson.loads(self._vault.open(found.post.post_id, found.post.sealed))
        except InvalidTag:
            log.error("lead_not_opened", post_id=str(found.post.post_id))  # noqa: TRY400  # the key is the whole story
            return NOT_OPENED
        return Opened(item, _parcel(found, lead))

    async def _kept_back(self, following: Following, opened: Opened) -> Fate | None:
        """Why a row is not sent now, or at all; None where it is."""
        item, parcel = opened
        name, when = following.after or following.instead_of, following.when
        order = self._directory.order(item.subject)
        campaign = parcel.post.campaign if order is None else order.campaign  # the one that the filter was read for
        vertical = self._directory.vertical(campaign)
        known = Circumstances(
            lead=self._directory.with_ages(parcel.post.lead, campaign, when, parcel.sold_at),
            fields={} if vertical is None else vertical.fields,
            other=None if name is None else await outbox.other(self._database, item, name),
            hours=self._directory.hours(item.subject) if following.in_hours else None,
            zone=self._directory.zone(item.subject),
            made_at=item.created_at,
        )
        return kept_back(following, known, datetime.now(UTC))

    async def _call(self, webhook: LeadWebhook, opened: Opened) -> Outcome:
        keys = signing_keys(webhook.secrets, self._environment)
        if keys is None:
            return NO_SECRET
        item, body = opened.item, documents.lead_event(opened.parcel)
        return await http.tell(self._courier, self._wires, webhook, item, body, keys)

    async def _ask(self, call: Call, opened: Opened) -> Fate:
        return await http.ask(self._courier, self._wires, opened.item.target, call, opened.parcel.post)

    async def _mail(self, message: Mail, opened: Opened) -> Outcome:
        if self._relay is None:
            return NO_RELAY
        item, values, sender = opened.item, documents.template_values(opened.parcel), self._relay.sender
        composed = mail.compose(item.outbox_id, item.created_at, sender, message, values, test=item.test)
        return await mail.send(self._relay, composed, message.to, self._tls, Departure())

    async def _put(self, way: Files, opened: Sequence[Opened]) -> Outcomes:
        """Puts leads down as one file; those that a file of its kind cannot hold are left out of it."""
        vertical = self._directory.vertical(opened[0].parcel.post.campaign) if opened else None
        outcomes: Outcomes = []
        if way.format is FileFormat.CSV:
            outcomes = _refused(opened, vertical)
            kept_out = {item.outbox_id for items, _ in outcomes for item in items}
            opened = [found for found in opened if found.item.outbox_id not in kept_out]
        if not opened:
            return outcomes
        items, parcels = [found.item for found in opened], [found.parcel for found in opened]
        login = login_of(way, self._environment)
        if login is None:
            return [*outcomes, (items, NO_SECRET)]
        columns, first = tuple(vertical.fields) if vertical else (), items[0]
        is_batch = first.batch_id is not None
        name = first.batch_id if is_batch else first.attempt_id
        file = file_of(way, name, parcels, columns, as_list=is_batch, again=first.tries > 1)
        return [*outcomes, (items, await self._servers.put(way, login, file, Departure()))]


def _parcel(found: Sold, lead: Lead) -> Parcel:
    post, plan = found.post, found.plan
    told = delivered_post(post, plan, lead)
    return Parcel(told, found.sold_at, found.reference)


async def _each(opened: Sequence[Opened], send: Callable[[Opened], Awaitable[Fate]]) -> Outcomes:
    """Sends one after another; there are several where files were gathered until the market named another way."""
    ends_s = time.monotonic() + EACH_WITHIN_S
    return [([found.item], await send(found) if time.monotonic() < ends_s else LATER) for found in opened]


def _refused(opened: Sequence[Opened], vertical: Vertical | None) -> Outcomes:
    """The leads that must not be written as CSV, each with the reason."""
    found = ((item, documents.formula_in(parcel.post.lead, vertical)) for item, parcel in opened)
    return [
        ([item], Failed(f"a spreadsheet would take the field {name} for a formula", is_final=True))
        for item, name in found
        if name is not None
    ]
