"""Every kind of lie that one witness of a world can tell about lead 0, and words that a true report says of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from simulated_world import FIRST, GROSS, PAYOUT, SECOND, SELLER, Fate, World

from exchange.simulation.books import TransferRow
from exchange.simulation.conduct import Decision, PingMove
from exchange.simulation.tally import Fault, TurnedAway
from exchange.simulation.witness import PingSeen, PostSeen, Violation

Item = TypeVar("Item")


def change(items: list[Item], number: int, **changes: Any) -> None:
    items[number] = replace(items[number], **changes)  # type: ignore[type-var]


def change_seen(world: World, buyer: str, **changes: Any) -> None:
    """Changes what the buyer's log says of the post of lead 0."""
    log = world.logs[buyer]
    (number,) = (place for place, entry in enumerate(log) if isinstance(entry, PostSeen) and entry.ping_id == "ping-0")
    change(log, number, **changes)


def drop_seen(world: World, buyer: str) -> None:
    log = world.logs[buyer]
    log[:] = [entry for entry in log if not (isinstance(entry, PostSeen) and entry.ping_id == "ping-0")]


def transfer_of(world: World, kind: str) -> int:
    return next(
        number
        for number, transfer in enumerate(world.transfers)
        if transfer.kind == kind and (transfer.attempt_id or "").endswith("-ping-0")
    )


def drop_transfer(world: World, kind: str) -> None:
    del world.transfers[transfer_of(world, kind)]


def repeat_transfer(world: World, kind: str) -> None:
    world.transfers.append(world.transfers[transfer_of(world, kind)])


def second_taker(world: World) -> None:
    world.tried("ping-0", SECOND, "rejected", taken=True)


def change_transfer(world: World, of_kind: str, **changes: Any) -> None:
    change(world.transfers, transfer_of(world, of_kind), **changes)


def bid_of(world: World, **changes: Any) -> None:
    log = world.logs[SECOND]
    (number,) = (place for place, entry in enumerate(log) if isinstance(entry, PingSeen) and entry.ping_id == "ping-0")
    change(log, number, **changes)


Lie = Callable[[World], Any]
# Name, the lead it is told of, words of the report, the lie.
# fmt: off
LIES: list[tuple[str, Fate, str, Lie]] = [
    # what sellers were told of pings
    ("an offer that is not recorded", Fate.NEVER_POSTED, "it is not recorded", lambda w: w.pings.pop(0)),
    ("an offer recorded as unsold", Fate.NEVER_POSTED, "recorded is", lambda w: change(w.pings, 0, status="unsold")),
    ("an offer of another seller", Fate.NEVER_POSTED, "recorded is else", lambda w: change(w.pings, 0, seller="else")),
    ("another price", Fate.NEVER_POSTED, "offered was 17.85", lambda w: change(w.pings, 0, payout_micros=1)),
    ("another reason", Fate.UNSOLD, "the reason told was 407", lambda w: change(w.pings, 0, reason=406)),
    ("a reason for an offer", Fate.NEVER_POSTED, "recorded is 407", lambda w: change(w.pings, 0, reason=407)),
    ("an offer below the least price", Fate.NEVER_POSTED, "least price",
     lambda w: change(w.tally.pings, 0, min_price_micros=PAYOUT + 1)),
    ("one ping for two", Fate.UNSOLD, "the answer to 2 pings", lambda w: w.tally.pings.append(w.tally.pings[0])),
    ("a ping nobody sent", Fate.UNSOLD, f"1 pings of {SELLER}", lambda w: w.tally.pings.pop(0)),
    ("a lost answer explains one ping only", Fate.PING_ANSWER_LOST, f"2 pings of {SELLER}",
     lambda w: w.pings.append(replace(w.pings[0], ping_id="more"))),
    # what sellers were told of posts
    ("a sale that is not recorded", Fate.SOLD, "was told accepted, and it is not recorded", lambda w: w.posts.pop(0)),
    ("a sale recorded as rejected", Fate.SOLD, "recorded is rejected", lambda w: change(w.posts, 0, state="rejected")),
    ("a sale recorded as pending", Fate.SOLD, "recorded is pending", lambda w: change(w.posts, 0, state="pending")),
    ("a rejection recorded as a sale", Fate.REJECTED, "was told rejected",
     lambda w: change(w.posts, 0, state="accepted")),
    ("a pending post still in progress", Fate.UNKNOWN_AND_TAKEN, "recorded is in_progress",
     lambda w: change(w.posts, 0, state="in_progress")),
    ("a sale at another price", Fate.SOLD, "told 17.849999",
     lambda w: change(w.tally.posts, 0, price_micros=PAYOUT - 1)),
    ("a sale to another seller", Fate.SOLD, "another ping or seller",
     lambda w: change(w.tally.posts, 0, seller="else")),
    ("a sale of another ping", Fate.SOLD, "another ping or seller", lambda w: change(w.posts, 0, ping_id="else")),
    ("a sale nobody was told", Fate.SOLD, "nobody was told", lambda w: w.tally.posts.pop(0)),
    ("a faulty answer", Fate.SOLD, "faulty answer to /v1/post: HTTP 502",
     lambda w: w.tally.add(Fault(SELLER, "/v1/post", "HTTP 502", answered=True))),
    ("an error of ours", Fate.UNSOLD, "500 internal_error",
     lambda w: w.tally.add(TurnedAway(SELLER, "/v1/ping", 500, "internal_error"))),
    ("a good lead refused", Fate.UNSOLD, "422 invalid_lead",
     lambda w: w.tally.add(TurnedAway(SELLER, "/v1/ping", 422, "invalid_lead"))),
    # posts and attempts
    ("a sale without an attempt", Fate.SOLD, "its attempts say rejected", lambda w: w.attempts.pop(0)),
    ("a rejection with an open attempt", Fate.REJECTED, "its attempts say pending",
     lambda w: change(w.attempts, 0, state="unknown")),
    ("two live attempts", Fate.SOLD_AFTER_A_NO, "1 accepted and 1 open",
     lambda w: change(w.attempts, 0, state="unknown")),
    ("an attempt of no post", Fate.REJECTED, "no recorded post", lambda w: change(w.attempts, 0, post_id="else")),
    ("an attempt of another ping", Fate.REJECTED, "no recorded post", lambda w: change(w.attempts, 0, ping_id="else")),
    ("less paid than promised", Fate.SOLD, "promised was 17.85",
     lambda w: change(w.attempts, 0, payout_micros=PAYOUT - 1)),
    # what buyers wrote down
    ("a sale no buyer saw", Fate.SOLD, "is accepted, the buyers' logs say nothing", lambda w: drop_seen(w, SECOND)),
    ("a sale the buyer rejected", Fate.SOLD, "logs say rejected",
     lambda w: change_seen(w, SECOND, decision=Decision.REJECTED)),
    ("a sale the buyer had already", Fate.SOLD, "logs say duplicate",
     lambda w: change_seen(w, SECOND, decision=Decision.DUPLICATE)),
    ("a rejection the buyer accepted", Fate.REJECTED, "is rejected, the buyers' logs say accepted",
     lambda w: change_seen(w, FIRST, decision=Decision.ACCEPTED)),
    ("a rejection no buyer saw", Fate.REJECTED, "is rejected, the buyers' logs say nothing",
     lambda w: drop_seen(w, FIRST)),
    ("an unsent lead that arrived", Fate.REJECTED, "is not_sent, the buyers' logs say rejected",
     lambda w: change(w.attempts, 0, state="not_sent")),
    ("an attempt that is not recorded", Fate.REJECTED, "northwind has rejected attempt northwind-ping-0",
     lambda w: w.attempts.pop(0)),
    ("a lead delivered to another order", Fate.SOLD, "for order else", lambda w: change_seen(w, SECOND, order="else")),
    ("a lead delivered to another buyer", Fate.SOLD, f"reached {SECOND}", lambda w: change(w.attempts, 0, buyer=FIRST)),
    ("a delivery at another price", Fate.SOLD, "delivered at 0.000001",
     lambda w: change_seen(w, SECOND, price_micros=1)),
    ("a delivery written down twice", Fate.SOLD, "logs 2 times", lambda w: w.logs[FIRST].extend(w.logs[SECOND])),
    ("a lead that two have taken", Fate.UNKNOWN_AND_TAKEN, "taken 2 times: by harborline, northwind", second_taker),
    ("a bid that was never made", Fate.SOLD, "a bid that he never made", lambda w: bid_of(w, ping_id="else")),
    ("a no taken for a bid", Fate.SOLD, "never made", lambda w: bid_of(w, move=PingMove.NO_BID, bid_micros=None)),
    ("more asked than was bid", Fate.SOLD, "bid 20.99", lambda w: bid_of(w, bid_micros=GROSS - 10_000)),
    ("another bid's id", Fate.SOLD, "as else", lambda w: bid_of(w, bid_id="else")),
    ("a call that breaks the wire", Fate.SOLD, "contact_data_in_ping",
     lambda w: w.logs[FIRST].append(Violation("contact_data_in_ping", "p"))),
    # money
    ("a sale without its charge", Fate.SOLD, "its charge is nothing", lambda w: drop_transfer(w, "charge")),
    ("a sale without its payout", Fate.SOLD, "its payout is nothing", lambda w: drop_transfer(w, "payout")),
    ("a sale without its margin", Fate.SOLD, "its margin is nothing", lambda w: drop_transfer(w, "margin")),
    ("a charge twice", Fate.SOLD, "its charge is 21.00, 21.00", lambda w: repeat_transfer(w, "charge")),
    ("a payout twice", Fate.SOLD, "its payout is 17.85, 17.85", lambda w: repeat_transfer(w, "payout")),
    ("a margin twice", Fate.SOLD, "its margin is 3.15, 3.15", lambda w: repeat_transfer(w, "margin")),
    ("a charge of another amount", Fate.SOLD, "its charge is 21.000001",
     lambda w: change_transfer(w, "charge", amount_micros=GROSS + 1)),
    ("a margin of another amount", Fate.SOLD, "its margin is 0.000001",
     lambda w: change_transfer(w, "margin", amount_micros=1)),
    ("a charge to another buyer", Fate.SOLD, "its buyer's account",
     lambda w: change_transfer(w, "charge", debit_account=f"buyer:{FIRST}")),
    ("a payout to another seller", Fate.SOLD, "its seller's account",
     lambda w: change_transfer(w, "payout", credit_account="seller:else")),
    ("a margin that went elsewhere", Fate.SOLD, "keep exactly the margin",
     lambda w: change_transfer(w, "margin", debit_account="exchange:other")),
    ("a margin at break-even", Fate.SOLD_AT_BREAK_EVEN, "it should be 0.00 once",
     lambda w: w.transfers.append(TransferRow(f"{SECOND}-ping-0", "margin", 1, "exchange:clearing", "exchange:m"))),
    ("money for a rejected lead", Fate.REJECTED, "money was moved for it",
     lambda w: w.paid(f"{FIRST}-ping-0", FIRST, GROSS)),
    ("money for an unknown lead", Fate.UNKNOWN_AND_TAKEN, "money was moved for it",
     lambda w: w.paid(f"{FIRST}-ping-0", FIRST, GROSS)),
    ("money for no attempt at all", Fate.REJECTED, "attempt else, which is not recorded",
     lambda w: w.paid("else", FIRST, GROSS)),
    ("a transfer of nothing", Fate.SOLD, "moves nothing", lambda w: change_transfer(w, "margin", amount_micros=0)),
    ("a transfer backwards", Fate.SOLD, "moves nothing", lambda w: change_transfer(w, "margin", amount_micros=-1)),
    ("a transfer to itself", Fate.SOLD, "moves nothing",
     lambda w: change_transfer(w, "margin", credit_account="exchange:clearing")),
    ("a deposit for an attempt", Fate.SOLD, "does not go with an attempt",
     lambda w: change_transfer(w, "margin", kind="deposit")),
    ("a charge for nothing", Fate.SOLD, "does not go with an attempt", lambda w: change(w.transfers, 0, kind="charge")),
]
# fmt: on
