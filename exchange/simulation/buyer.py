"""One simulated buyer: the native wire's calls in, answers by his manners out, each written down before it leaves."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from exchange.simulation.conduct import Decision, PingMove, PingPlan, PostMove, PostPlan, plan_ping, plan_post
from exchange.simulation.http_server import Ending, Reply, Request, respond
from exchange.simulation.manners import Manners
from exchange.simulation.witness import Answered, LogWriter, PingSeen, PostAnswered, PostSeen, Violation
from exchange.values.money import format_amount, parse_amount

CONTACT_FIELDS = frozenset({"first_name", "last_name", "phone", "email", "street"})
HIDDEN_FIELDS = frozenset({"seller", "source", "ref", "min_price"})  # what a buyer is not to know of a ping

GARBAGE = (
    (respond(200, b"<html><body>It works!</body></html>", "text/html"), Ending.KEEP),
    (respond(200, b'{"bid": "21.0'), Ending.KEEP),
    (respond(200, b'{"bid": "21.00", "bid": "42.00"}'), Ending.KEEP),
    (respond(200, b'{"bid": {"amount": "21.00"}}'), Ending.KEEP),
    (respond(200, b'["21.00"]'), Ending.KEEP),
    (respond(200, b"\xff\xfe\x00bid"), Ending.KEEP),
    (respond(200, b""), Ending.KEEP),
    (b"HELO lead-exchange\r\n\r\n", Ending.CLOSE),
)
ABSURD_BIDS = (
    b"NaN",
    b"-5.00",
    b'"-5.00"',
    b"Infinity",
    b"1e308",
    b'"999999999.00"',
    b'"21,50"',
    b'"21.1234567"',
    b"true",
)
UNAUTHORIZED = respond(401, b'{"error":"unauthorized"}')
NOT_FOUND = respond(404, b'{"error":"not_found"}')
_STATUS = {Decision.ACCEPTED: "accepted", Decision.REJECTED: "rejected", Decision.DUPLICATE: "rejected"}
METHOD_NOT_ALLOWED = respond(405, b'{"error":"method_not_allowed"}')
SERVER_ERROR = respond(500, b'{"error":"internal"}')


class Misuse(Exception):
    """A call that breaks the wire; it is answered 400 and written down."""

    def __init__(self, what: str, subject: str = "", detail: str = "") -> None:
        super().__init__(what)
        self.violation = Violation(what, subject, detail)


@dataclass(frozen=True, slots=True)
class _PostCall:
    attempt_id: str
    ping_id: str
    order: str
    price_micros: int
    bid_id: str | None
    test: bool


class Buyer:
    """Answers requests; `handle` never blocks, the waiting is the server's."""

    def __init__(self, manners: Manners, seed: int, log: LogWriter) -> None:
        self.manners = manners
        self._seed = seed
        self._log = log
        self._posts: dict[str, PostPlan] = {}
        self._expected_auth = None if manners.bearer is None else f"Bearer {manners.bearer}"

    def remember(self, attempt_ids: Iterable[str]) -> None:
        """Posts that he decided on in an earlier life: they are answered as then, and not written down again."""
        self._posts.update({key: plan_post(self.manners, self._seed, key) for key in attempt_ids})

    def handle(self, request: Request) -> Reply:
        """What goes back for one request."""
        route = {"/bid": ("POST", self._bid), "/post": ("POST", self._post), "/status": ("GET", self._status)}
        method, answer = route.get(request.path, (None, None))
        if answer is None:
            return Reply(NOT_FOUND)
        if request.method != method:
            return Reply(METHOD_NOT_ALLOWED)
        if self._expected_auth not in (None, request.headers.get("authorization")):
            self._log.write(Violation("unauthorized", request.path))
            return Reply(UNAUTHORIZED)
        try:
            return answer(request)
        except Misuse as misuse:
            self._log.write(misuse.violation)
            return Reply(respond(400, orjson.dumps({"error": misuse.violation.what})))

    def _bid(self, request: Request) -> Reply:
        ping = _document(request.body)
        ping_id, order = _text(ping, "ping_id"), _header(request, "exchange-order")
        _header(request, "exchange-timeout-ms")
        exposed = CONTACT_FIELDS & (ping.keys() | _lead(ping, ping_id).keys())
        if exposed:
            raise Misuse("contact_data_in_ping", ping_id, ", ".join(sorted(exposed)))
        if HIDDEN_FIELDS & ping.keys():
            raise Misuse("seller_shown_in_ping", ping_id, ", ".join(sorted(HIDDEN_FIELDS & ping.keys())))
        plan = plan_ping(self.manners, self._seed, ping_id, order)
        self._log.write(PingSeen(ping_id, order, plan.move, plan.bid_micros, plan.bid_id))
        return _ping_reply(plan)

    def _post(self, request: Request) -> Reply:
        post = _document(request.body)
        call = _post_call(post, request)
        plan = self._posts.get(call.attempt_id)
        if plan is None:
            plan = plan_post(self.manners, self._seed, call.attempt_id)
            self._log.write(_post_seen(call, plan))
            self._posts[call.attempt_id] = plan
        return self._post_reply(call.attempt_id, plan)

    def _post_reply(self, attempt_id: str, plan: PostPlan) -> Reply:
        match plan.move:
            case PostMove.ACCEPT_THEN_DROP:
                sent = partial(self._note_answer, attempt_id, Answered.DROPPED)
                return Reply(b"", plan.wait_ms, Ending.CLOSE, sent)
            case PostMove.ACCEPT_THEN_ERROR:
                return Reply(SERVER_ERROR, plan.wait_ms, sent=partial(self._note_answer, attempt_id, Answered.ERROR))
            case _:
                answer = respond(200, orjson.dumps(_post_answer(plan.decision, attempt_id)))
                return Reply(answer, plan.wait_ms, sent=partial(self._note_answer, attempt_id, Answered.REPLY))

    def _note_answer(self, attempt_id: str, how: Answered, there: bool) -> None:
        self._log.write(PostAnswered(attempt_id, how if there else Answered.GONE))

    def _status(self, request: Request) -> Reply:
        plan = self._posts.get(request.query.get("attempt_id", ""))
        status = "not_found" if plan is None else _STATUS[plan.decision]
        return Reply(respond(200, orjson.dumps({"status": status})))


def _ping_reply(plan: PingPlan) -> Reply:
    match plan.move:
        case PingMove.BID:
            return _bid_reply(plan, {"bid": format_amount(plan.bid_micros or 0), "bid_id": plan.bid_id})
        case PingMove.NO_BID:
            if plan.empty:
                return Reply(respond(204), plan.think_ms)
            return _bid_reply(plan, {"bid": 0, "reason": "not wanted"})
        case PingMove.ERROR:
            return Reply(SERVER_ERROR, plan.think_ms)
        case PingMove.SILENCE:
            return Reply(b"", None)
        case PingMove.GARBAGE:
            payload, ending = GARBAGE[int(plan.variety * len(GARBAGE))]
            return Reply(payload, plan.think_ms, ending)
        case PingMove.ABSURD_PRICE:
            bid = ABSURD_BIDS[int(plan.variety * len(ABSURD_BIDS))]
            return Reply(respond(200, b'{"bid": ' + bid + b"}"), plan.think_ms)


def _bid_reply(plan: PingPlan, document: Mapping[str, Any]) -> Reply:
    return Reply(respond(200, orjson.dumps(document)), plan.think_ms)


def _post_answer(decision: Decision, attempt_id: str) -> Mapping[str, Any]:
    match decision:
        case Decision.ACCEPTED:
            return {"status": "accepted", "reference": f"crm-{attempt_id[-12:]}"}
        case Decision.REJECTED:
            return {"status": "rejected", "reason": "does not meet our criteria"}
        case Decision.DUPLICATE:
            return {"status": "duplicate"}


def _post_call(post: Mapping[str, Any], request: Request) -> _PostCall:
    """The post without its lead; raises Misuse for anything that the wire does not allow."""
    attempt_id = _text(post, "attempt_id")
    if request.headers.get("idempotency-key") != attempt_id:
        raise Misuse("idempotency_key_differs", attempt_id)
    if not CONTACT_FIELDS & _lead(post, attempt_id).keys():
        raise Misuse("no_contact_data_in_post", attempt_id)
    price_micros = parse_amount(_text(post, "price"))
    if price_micros is None:
        raise Misuse("price_invalid", attempt_id)
    bid_id, test = post.get("bid_id"), post.get("test")
    if not isinstance(bid_id, str | None) or not isinstance(test, bool):
        raise Misuse("shape_invalid", attempt_id, "bid_id, test")
    return _PostCall(attempt_id, _text(post, "ping_id"), _text(post, "order"), price_micros, bid_id, test)


def _post_seen(call: _PostCall, plan: PostPlan) -> PostSeen:
    return PostSeen(
        attempt_id=call.attempt_id,
        ping_id=call.ping_id,
        order=call.order,
        price_micros=call.price_micros,
        bid_id=call.bid_id,
        test=call.test,
        move=plan.move,
        decision=plan.decision,
    )


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Misuse("malformed_json") from None
    if not isinstance(document, dict):
        raise Misuse("shape_invalid")
    return document


def _lead(document: Mapping[str, Any], subject: str) -> Mapping[str, Any]:
    lead = document.get("lead")
    if not isinstance(lead, dict):
        raise Misuse("shape_invalid", subject, "lead")
    return lead


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise Misuse("shape_invalid", detail=name)
    return value


def _header(request: Request, name: str) -> str:
    value = request.headers.get(name)
    if not value:
        raise Misuse("header_missing", detail=name)
    return value
