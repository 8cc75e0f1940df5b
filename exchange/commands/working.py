"""`exchange worker`: the chores, in a process that runs until it is told to stop."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import uvloop

from exchange import worker
from exchange.background import Background
from exchange.buyers.delivery import Courier
from exchange.buyers.tls import bare_context, trusting_context
from exchange.buyers.tokens import Tokens
from exchange.carriers.mail import relay_from
from exchange.children import say_ready, stop_on_signals, stop_without_parent
from exchange.commands.session import prepare_schema, say, services
from exchange.embedded.lease import Services
from exchange.engine import open_engine
from exchange.errors import SettingsError
from exchange.observe.metrics import REGISTRY
from exchange.observe.page import show
from exchange.observe.pulse import Pulse
from exchange.observe.readers import Readers
from exchange.outbox.buyers import BuyerNotices
from exchange.outbox.following import Followings
from exchange.outbox.market import Directory
from exchange.outbox.noticing import NoticeLimits, Noticing
from exchange.outbox.sellers import SellerWebhooks
from exchange.outbox.sending import Outbox, Pace
from exchange.reconcile import Limits, Reconciler
from exchange.repeats import Repeats
from exchange.rules import doubt
from exchange.settings import Settings, master_key, secret_environment
from exchange.storage.database import Database
from exchange.storage.slips import Slips
from exchange.storage.vault import Vault
from exchange.waiting import WaitingLeads

OUTBOX_GRACE_S = 10.0
"""How long deliveries under way may take to end when the worker is told to stop."""

QUEUE_GRACE_S = 10.0
"""And offers of queued leads; what has become a post has `drain_timeout_s`."""


def run_worker(settings: Settings, *, leashed: bool, ready: int | None) -> None:
    """Does chores until told to stop; a leashed worker also stops when its parent is gone.

    It says so on the descriptor `ready` when it has started.
    """

    async def main(prepare: Callable[[], Awaitable[None]], given: Services) -> None:
        await prepare()
        stop = asyncio.Event()
        stop_on_signals(stop)
        if leashed:
            stop_without_parent(stop)
        async with AsyncExitStack() as stack:
            database = await Database.connect(
                given.postgres_url, connections_max=8, timeout_s=settings.postgres_timeout_s, name="worker"
            )
            stack.push_async_callback(database.close)
            courier = Courier(allow_private=settings.allow_private_addresses, tls=trusting_context(settings.ca_file))
            stack.push_async_callback(courier.close)
            reconciler = _reconciler(settings, database, courier)
            stack.push_async_callback(reconciler.close)
            tokens = Tokens(courier)
            stack.push_async_callback(tokens.close)
            directory = Directory(database)
            noticing = _noticing(settings, database, directory)
            sending = _outbox(settings, database, directory, courier, tokens)
            stack.push_async_callback(sending.close, OUTBOX_GRACE_S)
            waiting = WaitingLeads(
                database,
                lambda: open_engine(settings, given, stack, "worker"),
                longest_s=settings.queue_longest_s,
                at_once_max=settings.queue_at_once_max,
            )
            pulse = Pulse("worker")
            pulse.start()
            stack.push_async_callback(pulse.close)
            if settings.worker_metrics_port is not None:
                stack.callback(_show_metrics(settings, settings.worker_metrics_port, pulse))
            say_ready(ready)
            if not leashed:
                say("the worker has started")
            repeats = Repeats(database, Slips(settings.data_dir), Background())
            kept = worker.Kept(settings.outbox_done_days, settings.outbox_dead_days, settings.queue_done_days)
            try:
                await worker.work(database, repeats, reconciler, sending, waiting, noticing, kept, stop=stop)
            finally:
                await waiting.close(QUEUE_GRACE_S)  # before the engine, which it may have opened

    with services(settings) as lease:
        uvloop.run(main(lambda: prepare_schema(settings, lease.services), lease.services))


def _reconciler(settings: Settings, database: Database, courier: Courier) -> Reconciler:
    pace = doubt.Pace(settings.resolve_first_s, settings.resolve_longest_s, settings.resolve_tries_max)
    limits = Limits(pace, settings.resolve_at_once_max)
    return Reconciler(database, courier, Vault(master_key(settings)), secret_environment(), limits)


def _noticing(settings: Settings, database: Database, directory: Directory) -> Noticing:
    limits = NoticeLimits(
        settings.notices_every_s, settings.notices_bids_max, settings.notices_waiting_max, settings.notices_age_s
    )
    return Noticing(database, directory, limits)


def _outbox(settings: Settings, database: Database, directory: Directory, courier: Courier, tokens: Tokens) -> Outbox:
    environment = secret_environment()
    sellers = SellerWebhooks(database, directory, courier, environment)
    buyers = BuyerNotices(database, directory, courier, environment)
    followings = Followings(
        database,
        directory,
        courier,
        Vault(master_key(settings)),
        environment,
        tokens,
        relay_from(settings),
        bare_context(settings.ca_file),
        allow_private=settings.allow_private_addresses,
    )
    pace = Pace(
        settings.outbox_first_s,
        settings.outbox_longest_s,
        settings.outbox_tries_max,
        settings.outbox_at_once_max,
        settings.outbox_each_max,
    )
    return Outbox(database, directory, {"seller": sellers, "buyer": buyers, "order": followings}, pace)


def _show_metrics(settings: Settings, port: int, pulse: Pulse) -> Callable[[], None]:
    """Answers /metrics and /livez; returns what ends it."""
    host, token = settings.worker_metrics_host, settings.metrics_token
    readers = Readers(None if token is None else token.get_secret_value())
    try:
        return show(host, port, text=REGISTRY.own_text, is_alive=pulse.is_felt, readers=readers)
    except OSError as error:
        raise SettingsError(f"the worker's metrics cannot listen on {host}:{port}: {error.strerror}") from error
