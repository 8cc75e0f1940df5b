"""What is kept of a buyer's own words: those that anybody says of any lead, from one closed list, and nothing else.

No number, address or code can be said with them, and hardly a name: what is kept of a text is safe without knowing
whom it is about.
"""

import re
from collections.abc import Set as AbstractSet

GAP = "…"
"""Stands for whatever is not kept."""

_LIST = """
a about above accept acceptable accepted accepts account active actively after age ago all allowed already also an
and any api area as at attempt auction available away back bad balance be because been before below between bid
bidder bids blacklist blacklisted block blocked budget budgets business but buy buyer buyers by call called calls
campaign campaigns cancelled cannot cap capped caps carrier category check checks client closed code company
complete completed compliance condition conditions configuration configured connection consent contact content
contract could cover coverage covered covers credential credentials credit criteria criterion currently customer
customers daily data database date day days dead decline declined deliver delivered delivery denied detected did
different disabled disconnected disposable disqualified do does domain down dupe duplicate duplicated duplicates
duplication during eligible email empty end ended enough error errors exceeded exceeds exclude excluded exclusive
exhausted exist existing exists expired expires fail failed fails failure fake false field fields filter filtered
filters for form format found fraud fraudulent free from full funds future geo good group had has have health
history hold home homeowner hour hourly hours id if illegal in inactive income incomplete incorrect ineligible
insufficient insurance insured interest interested internal invalid ip is issue it item key known landline last
lead leads length less license licensed limit limited limits line list listed litigator litigators location login
lookup low lower made mail maintenance malformed many match matched matches matching maximum meet message met
method minimum minute minutes mismatch missing mobile monetize month monthly more must name network never new no
none not now null number object of off offer offers offline okay on only open operating or order orders other our
out outbid outside over own owner paid parameter parameters parse partner past pause paused payload payment
pending per person phone ping pinged pings please policy post posted posting posts preferred prepop previous
previously price processed processing product profile program property provided provider published publisher
purchase purchased quality questionable queue quota range rate rating reached read real reason received recent
recently record records refused region reject rejected rejection remaining repeat request requested requests
required requirement requirements resale reserve response restricted result returned rule rules sale same
saturated schedule score secure seen sell seller sent server service session setup shared should site sold source
spam state states status still stored submission submit submitted subscription success successful suppress
suppressed suppression suspended system technical temporarily temporary tenant test than that the their there this
throttled throttling time timeout timestamp to today token toll too total traffic true trusted type unable
unauthorized unavailable under unexpected unique unknown unlicensed unmatched unprocessable unqualified
unreachable unsold unsupported until update upstream url us used user valid validate validated validation value
values vehicle vendor verification verified verify version vertical want wanted wants was we week weekly were when
while whitelisted window wish with within without wrong year years yet you your zip zipcode zone
"""

WORDS = frozenset(_LIST.split())
"""In small letters. No number is among them. Some people are called Price or Day: see `with_gaps`."""

_PIECE = re.compile(r"[^\W_]+")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
"""The words of one that is written as `BadRequest`."""
_ODD = re.compile(r"[^\w .,:;!?'/\-\u2013\u2026]")
_GAPS = re.compile(rf"{GAP}(?:[\W_]*{GAP})+")


def plain_words(text: str) -> str:
    """A text with a gap for all that is not from the list, however much that is; "" where nothing is left."""
    found = " ".join(_GAPS.sub(GAP, _PIECE.sub(_kept, _ODD.sub(" ", text))).split())
    return found if any(map(str.isalpha, found)) else ""


def with_gaps(text: str, words: AbstractSet[str]) -> str:
    """A text with a gap for each of these words, which are in small letters."""
    return _PIECE.sub(lambda piece: GAP if words & set(map(str.lower, _parts(piece[0]))) else piece[0], text)


def _kept(piece: re.Match[str]) -> str:
    return piece[0] if all(part.lower() in WORDS for part in _parts(piece[0])) else GAP


def _parts(piece: str) -> list[str]:
    parts = _PARTS.findall(piece)
    return parts if "".join(parts) == piece else [piece]
