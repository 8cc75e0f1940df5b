"""The engine: all that a lead passes on its way to a buyer, put together once for gateways and for workers.

Gateways offer what sellers send just now; workers offer what has waited. Both ask the same buyers by the same code.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import structlog

from exchange.background import Background
from exchange.brake_keeper import BrakeKeeper
from exchange.brakes import Brakes
from exchange.buyers.calls import Tally
from exchange.buyers.delivery import Courier
from exchange.buyers.fanout import Fanout
from exchange.buyers.tls import bare_context, trusting_context
from exchange.buyers.tokens import Tokens
from exchange.carriers.deciding import Carriers
from exchange.carriers.mail import Relay, relay_from
from exchange.embedded.lease import Services
from exchange.gate import Gate
from exchange.live import LiveMarket
from exchange.observe import metrics
from exchange.ping import PingRequest, Pings, PingTimes
from exchange.post import Posts
from exchange.record import Recorder
from exchange.repeats import Repeats
from exchange.rules.brake import Usual
from exchange.rules.consent import all_given
from exchange.rules.duplicates import Hashes
from exchange.sale import PostTimes
from exchange.settings import Settings, master_key, secret_environment
from exchange.storage.acceptance import Acceptance
from exchange.storage.database import Database
from exchange.storage.feed import Feed
from exchange.storage.fingerprints import People
from exchange.storage.hints import Hints
from exchange.storage.journal import Journal
from exchange.storage.sales import Sales
from exchange.storage.slips import Slips
from exchange.storage.vault import Vault
from exchange.values.reason import Reason
from exchange.values.trace import PingTrace
from exchange.wires import Wires

if TYPE_CHECKING:
    from exchange.observe.spans import Spans

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    """What sells leads. `background` owns the work that outlives the request that began it."""

    live: LiveMarket
    pings: Pings
    posts: Posts
    gate: Gate
    sales: Sales
    recorder: Recorder
    repeats: Repeats
    database: Database
    vault: Vault
    background: Background
    tally: Tally
    """Pings that wait for buyers."""
    measures: tuple[Callable[[], None], ...]

    async def offer(self, request: PingRequest, hashes: Hashes) -> PingTrace:
        """Offers a lead to the market, unless something turns it away first. `hashes` are what is known of the person.

        Raises StorageUnavailable where an offer could not be recorded.
        """
        consent = request.book.campaign.consent
        if consent and not all_given(request.lead, consent):
            return await self.gate.refuse(request, Reason.CONSENT_MISSING)
        if hashes or request.room.limits_pings:
            found = await self.gate.look(request, hashes)
            if isinstance(found, Reason):
                return await self.gate.refuse(request, found)
            request = request._replace(had_by=found)
        return await self.pings.ping(request, self.live.available)


class Ground(NamedTuple):
    """What the parts of an engine stand on: the database, the market as it is followed, and what is known of both."""

    database: Database
    live: LiveMarket
    hints: Hints
    people: People
    brakes: Brakes
    relay: Relay | None


async def open_engine(
    settings: Settings, services: Services, stack: AsyncExitStack, name: str, spans: "Spans | None" = None
) -> Engine:
    """Opens everything in order; the stack closes it in reverse, after the work in the background has ended.

    `name` is how Postgres knows the process; with `spans` each step has one beside it. Raises StorageUnavailable where
    the database cannot be used.
    """
    database = await Database.connect(
        services.postgres_url,
        connections_max=settings.postgres_connections_max,
        timeout_s=settings.postgres_timeout_s,
        name=name,
        flushes=True,
    )
    stack.push_async_callback(database.close)
    hints, people = Hints(database, services.valkey_url), People(database, services.valkey_url)
    brakes = Brakes(_usual_brakes(settings), settings.retry_after_longest_s)
    keeper = BrakeKeeper(database, brakes)
    await keeper.start()
    stack.push_async_callback(keeper.close)
    relay = relay_from(settings)
    live = LiveMarket(
        database,
        services.postgres_url,
        secret_environment(),
        hints,
        brakes.put_in_force,
        can_mail=relay is not None,
    )
    await live.start()
    stack.push_async_callback(live.close)
    await hints.start()
    stack.push_async_callback(hints.close)
    people.start()
    stack.push_async_callback(people.close)
    ground = Ground(database, live, hints, people, brakes, relay)
    return await _with_market(settings, services, stack, ground, spans)


async def _with_market(
    settings: Settings, services: Services, stack: AsyncExitStack, ground: Ground, spans: "Spans | None"
) -> Engine:
    """What asks buyers and records what became of it, once the market is followed."""
    database, live, hints, people, brakes, relay = ground
    environment = secret_environment()
    vault = Vault(master_key(settings))
    feed = Feed(services.valkey_url)
    stack.push_async_callback(feed.close)
    journal = Journal(database, rows_max=settings.journal_rows_max)
    stack.push_async_callback(journal.close)
    await journal.connect()
    make_recorder, make_pings, make_posts = _kinds(spans)
    recorder = make_recorder(journal, feed, settings.log_pings_share)
    allow_private, tls = settings.allow_private_addresses, trusting_context(settings.ca_file)
    fanout, courier = Fanout(allow_private=allow_private, tls=tls), Courier(allow_private=allow_private, tls=tls)
    stack.push_async_callback(fanout.close)
    stack.push_async_callback(courier.close)
    tokens = Tokens(courier)
    stack.push_async_callback(tokens.close)
    wires = Wires(environment, tokens)
    carriers = Carriers(courier, environment, relay, bare_context(settings.ca_file), allow_private=allow_private)
    stack.callback(carriers.close)
    background = Background()
    stack.push_async_callback(_drain, background, settings.drain_timeout_s)
    repeats = Repeats(database, Slips(settings.data_dir), background)
    repeats.start()
    stack.push_async_callback(repeats.close)
    sales = Sales(database, counted=(hints.counted, people.sold))
    acceptance = Acceptance(database, lambda: live.book.by_performance() if live.book else ())
    acceptance.start()
    stack.push_async_callback(acceptance.close)
    times = PingTimes(settings.ping_finish_ms, settings.ping_ask_min_ms)
    post_times = PostTimes(settings.post_attempt_min_ms, settings.post_finish_ms, settings.postgres_timeout_s)
    return Engine(
        live=live,
        pings=make_pings(fanout, recorder, times, lambda: acceptance.measured, wires, brakes),
        posts=make_posts(sales, courier, vault, repeats, recorder, background, post_times, wires, carriers, brakes),
        gate=Gate(people, vault, recorder),
        sales=sales,
        recorder=recorder,
        repeats=repeats,
        database=database,
        vault=vault,
        background=background,
        tally=fanout.tally,
        measures=(fanout.measure, journal.measure, *([spans.measure] if spans else [])),
    )


def _kinds(spans: "Spans | None") -> tuple[type[Recorder], type[Pings], type[Posts]]:
    """The parts of the story: plain, or with a span beside each step."""
    if spans is None:
        return Recorder, Pings, Posts
    from exchange.traced import TracedPings, TracedPosts, TracedRecorder  # noqa: PLC0415  # an extra

    return TracedRecorder, TracedPings, TracedPosts


async def _drain(background: Background, timeout_s: float) -> None:
    if cut := await background.drain(timeout_s):
        metrics.LIMITS_HIT.add(("drain_timeout_s",), cut)
        log.error("work_cut_at_shutdown", count=cut)


def _usual_brakes(settings: Settings) -> Usual:
    return Usual(
        shadow=settings.breaker_shadow,
        failed_percent=settings.breaker_percent,
        calls_min=settings.breaker_calls,
        post_calls_min=settings.breaker_post_calls,
        window_s=settings.breaker_window_s,
        post_window_s=settings.breaker_post_window_s,
        rest_first_s=settings.breaker_rest_s,
        rest_longest_s=settings.breaker_rest_longest_s,
        probe_percent=settings.breaker_probes,
        pause_after_s=settings.breaker_pause_after_s,
    )
