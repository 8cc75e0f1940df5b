"""Following deliveries: the lead that was sold, opened at the last moment, to its buyer and nobody else."""

import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import assert_never

import orjson
import structlog
from cryptography.exceptions import InvalidTag

from exchange.buyers.delivery import Courier
from exchange.marketfile.secrets import resolve, signing_keys
from exchange.outbox import documents, files, http, mail
from exchange.outbox.documents import Parcel
from exchange.outbox.files import File, Login
from exchange.outbox.mail import Relay
from exchange.outbox.market import Directory
from exchange.outbox.outcome import GONE, NO_SECRET, Failed, Outcome
from exchange.storage import outbox, sold
from exchange.storage.database import Database
from exchange.storage.outbox import Item
from exchange.storage.vault import Vault
from exchange.values.deliveries import FileFormat, Files, LeadWebhook, Mail
from exchange.values.vertical import FieldType, Vertical

ERASED = Failed(outbox.ERASED, is_final=True)
NOT_SOLD = Failed("the sale was corrected: there is none any more", is_final=True)
OTHER_BUYER = Failed("the order is another buyer's by now", is_final=True)
NOT_OPENED = Failed("the lead cannot be opened with this master key")
LATER = Failed("too many to be sent at once")
NO_RELAY = Failed("EXCHANGE_SMTP_URL is not set")

EACH_WITHIN_S = 150.0
"""Well within the lease of those that were taken together."""

log = structlog.get_logger(__name__)

Outcomes = list[tuple[Sequence[Item], Outcome]]


class Followings:
    """Sends what follows sales."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        courier: Courier,
        vault: Vault,
        environment: Mapping[str, str],
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
        self._relay = relay
        self._tls = tls
        self._allow_private = allow_private

    async def send(self, items: Sequence[Item]) -> Outcomes:
        """Sends rows of one delivery: several go into one file. What cannot be sent does not keep the others back."""
        first = items[0]
        following = self._directory.following(first.subject, first.name)
        if following is None:
            return [(items, GONE)]
        outcomes: Outcomes = []
        parcels: list[Parcel] = []
        for item in items:
            parcel = await self._open(item)
            if isinstance(parcel, Parcel):
                parcels.append(parcel)
            else:
                outcomes.append(([item], parcel))
        match following.means:
            case LeadWebhook() as webhook:
                sent = await _each(parcels, partial(self._call, webhook))
            case Mail() as message:
                sent = await _each(parcels, partial(self._mail, message))
            case Files() as way:
                sent = await self._put(way, parcels)
            case _:
                assert_never(following.means)
        return [*outcomes, *sent]

    async def _open(self, item: Item) -> Parcel | Failed:
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
        return Parcel(item, found, lead)

    async def _call(self, webhook: LeadWebhook, parcel: Parcel) -> Outcome:
        keys = signing_keys(webhook.secrets, self._environment)
        if keys is None:
            return NO_SECRET
        body = documents.lead_event(parcel)
        return await http.call(self._courier, webhook.url, parcel.item.outbox_id, body, keys)

    async def _mail(self, message: Mail, parcel: Parcel) -> Outcome:
        if self._relay is None:
            return NO_RELAY
        item, values = parcel.item, documents.template_values(parcel)
        composed = mail.compose(item.outbox_id, item.created_at, self._relay.sender, message, values, test=item.test)
        return await mail.send(self._relay, composed, message.to, self._tls)

    async def _put(self, way: Files, parcels: Sequence[Parcel]) -> Outcomes:
        """Puts leads down as one file; those that a file of its kind cannot hold are left out of it."""
        vertical = self._directory.vertical(parcels[0].sold.post.campaign) if parcels else None
        outcomes: Outcomes = []
        if way.format is FileFormat.CSV:
            outcomes = _refused(parcels, vertical)
            kept_out = {item.outbox_id for items, _ in outcomes for item in items}
            parcels = [parcel for parcel in parcels if parcel.item.outbox_id not in kept_out]
        if not parcels:
            return outcomes
        items = [parcel.item for parcel in parcels]
        login = self._login(way)
        if login is None:
            return [*outcomes, (items, NO_SECRET)]
        file = _file(way, parcels, tuple(vertical.fields) if vertical else ())
        done = await files.put(way, login, file, self._tls, allow_private=self._allow_private)
        return [*outcomes, (items, done)]

    def _login(self, way: Files) -> Login | None:
        """The secrets, where they are set."""
        password = None if way.password is None else resolve(way.password, self._environment)
        key = None if way.key is None else resolve(way.key, self._environment, lines=True)
        return Login(password, key) if password is not None or key is not None else None


async def _each(parcels: Sequence[Parcel], send: Callable[[Parcel], Awaitable[Outcome]]) -> Outcomes:
    """Sends one after another; there are several where files were gathered until the market named another way."""
    ends_s = time.monotonic() + EACH_WITHIN_S
    return [([parcel.item], await send(parcel) if time.monotonic() < ends_s else LATER) for parcel in parcels]


def _refused(parcels: Sequence[Parcel], vertical: Vertical | None) -> Outcomes:
    """The leads that must not be written as CSV, each with the reason."""
    fields = {} if vertical is None else vertical.fields
    texts = [name for name, item in fields.items() if item.type is FieldType.TEXT]
    found = ((parcel, documents.formula_in(parcel.lead, texts)) for parcel in parcels)
    return [
        ([parcel.item], Failed(f"a spreadsheet would take the field {name} for a formula", is_final=True))
        for parcel, name in found
        if name is not None
    ]


def _file(way: Files, parcels: Sequence[Parcel], fields: Sequence[str]) -> File:
    """The file of leads that are sent together, or of the one."""
    item, is_batch = parcels[0].item, parcels[0].item.batch_id is not None
    if way.format is FileFormat.CSV:
        content = documents.csv_file(parcels, fields)
    else:
        content = documents.json_file(parcels, as_list=is_batch)
    name = item.batch_id if is_batch else item.attempt_id
    return File(f"{name}.{way.format.value}", content, again=item.tries > 1)
