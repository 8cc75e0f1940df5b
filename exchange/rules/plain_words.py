"""What is kept of a buyer's own words: those that anybody says of any lead, from one closed list, and short numbers.

No telephone number, address or e-mail can be said with them, and hardly a name: what is kept of a text is safe without
knowing whom it is about.
"""

import re
from collections.abc import Set as AbstractSet

from exchange.rules.geography import STATES

GAP = "…"
"""Stands for whatever is not kept."""

_LIST = """
a about above absence absent accept acceptable accepted accepts accident accidents account active actively affiliate
affiliates after again age aged ago agreed agreement all allow allowed allowing allows already also amount amounts an
and any api archived area as at attempt attempts attorney auction auctions auto autopay available away back bad
balance be because been before below between bid bidder bidding bids bigger birth blacklist blacklisted blackout blank
block blocked born bot both bots bought bounce bounced budget budgeted budgets business busy but buy buyer buyers
buying by call called calls campaign campaigns cancelled cannot cap capacity capped caps car carrier carriers category
ceiling cent cents cert certificate character characters cheap check checks cities city client closed code commercial
company complete completed compliance compliant complies comply condition conditions configuration configured conflict
connection consent consented contact content contract contractual could count counted counties country counts county
cover coverage covered covers credential credentials credit criteria criterion csv currently customer customers daily
data database date day days dead debt december decline declined dedupe deduped deliver delivered delivery demo denied
deposit detected did different digit digits disabled disconnect disconnected disposable disqualified distance
distributed distribution dnc do dob does dollar dollars domain down driver drivers dui dummy dup dupe duping duplicate
duplicated duplicates duplication dups during each earlier early education either eligible email empty end ended
enough err errno error errors evening every exceeded exceeding exceeds excellent exclude excluded exclusive
exclusivity exhausted exist existing exists expensive expired expires external factor fail failed fails failure fair
fake false far february female few field fields filter filtered filters floor for forbidden form format found fraud
fraudulent free fresh freshness friday from full funding funds future gateway gave gender geo geography gibberish give
given gone good greylist group had has have health high higher highest history hold holiday home homeowner homeowners
hour hourly hours house html http https hvac id ids if illegal in inactive income incomplete incorrect ineligible
injury insufficient insurance insured insurer insurers interest interested internal invalid invalidated ip is issue it
item january jornaya json july key known lack lacking lacks ladder landing landline landlines lapse lapsed large last
late lately later lead leadid leads leg legal legs length less letter letters license licensed life lifetime limit
limited limits line list listed litigator litigators loan loans location login longer lookup lose losing lost low
lower lowest made mail maintenance male malformed mandatory many march married match matched matches matching maximal
maximum medicaid medicare meet message met method methods minimal minimum minute minutes misc miscellaneous mismatch
mismatched missing mobile monday monetize month monthly months more morning mortgage must name near nearby need needed
needs negative neither network never new night no nomatch noncompliant none nonmatch nonsense nor not november now
null number numeric object october of off offer offers offline okay old older omit omitted on only open operating
opted optin optional optout or order orders other our out outbid outside over overdrawn overload overloaded own owner
paid parameter parameters parse partner partners past pause paused pausing payload payment pending per percent
percentage permit permits permitted person phone ping pinged pings please plumbing policy poor positive post postal
postcode posted posting posts preferred prepaid prepop previous previously price prior processed processing product
profanity profile program prohibited property provided provider proxy published publisher publishers purchase
purchased quality questionable queue quota quotas radius range rank ranked ranking rate rating ratio reached read real
reason received recent recently record records recycled refused region regulated regulation reject rejected rejection
remaining renter renters repeat request requested requests require required requirement requirements requires
requiring resale resell reserve residential resold response restricted result retries retry returned robot roof
roofing rule rules sale same sample sandbox saturated saturday schedule score scrub scrubbed scrubbing second seconds
secure seen sell seller sent september server servers service session setup several shared shorter should since single
site size sizes sku slow smaller soap solar sold soon sorry source sources spam spend spent ssn stale state states
status still stop stopped stops stored student sub submission submit submitted subscription success successful sum
sunday suppress suppressed suppresses suppression suspended suspicious system take taken takes tcpa teapot technical
temporarily temporary tenant term terms territory test testing tests than thank thanks that the their there this
throttle throttled throttling thursday time timeout timestamp to today token toll tomorrow too took total traffic
tried tries true trusted trustedform try tuesday type unable unauthorised unauthorized unavailable unconfirmed
undeliverable under undercut unexpected unexpectedly unique uniqueness unknown unlicensed unmatch unmatched
unprocessable unqualified unreachable unresponsive unsold unspecified unsupported until unverified update upstream url
us usd used user valid validate validated validation value values vehicle vehicles vendor verification verified verify
version vertical violation violations voip vpn want wanted wants was we wednesday week weekend weekends weekly weeks
were when whether while whitelist whitelisted win window windows winner winners wireless wish with within without won
wrong xml year years yesterday yet you your zero zip zipcode zipcodes zone
"""

WORDS = frozenset(_LIST.split())
"""In small letters. Some people are called Price or Day: see `with_gaps`."""

_PIECE = re.compile(r"[^\W_]+")
_APART = rf"(?:[^\w{GAP}]|_)"
_NUMBER = rf"(?<![^\W_])(?<!\d{_APART})(?<!\d{_APART}{{2}})\d{{1,3}}(?:\.\d{{2}})?(?![^\W_])(?!{_APART}{{1,3}}\d)"
"""A count, an age, a status, a price: up to three digits, and no other number next to it that makes it longer."""
_NUMBER_OR_PIECE = re.compile(rf"({_NUMBER})|[^\W_]+")
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
"""The words of one that is written as `BadRequest`."""
_ODD = re.compile(r"[^\w .,:;!?'/\-\u2013\u2026]")
_GAPS = re.compile(rf"{GAP}(?:[\W_]*{GAP})+")


def plain_words(text: str) -> str:
    """A text with a gap for all that is neither from the list nor a short number; "" where no word is left."""
    found = _GAPS.sub(GAP, _NUMBER_OR_PIECE.sub(_kept, " ".join(_ODD.sub(" ", text).split())))
    return found if any(map(str.isalpha, found)) else ""


def with_gaps(text: str, words: AbstractSet[str]) -> str:
    """A text with a gap for each of these words, which are in small letters."""
    return _PIECE.sub(lambda piece: GAP if words & set(map(str.lower, _parts(piece[0]))) else piece[0], text)


def _kept(piece: re.Match[str]) -> str:
    return (
        piece[0] if piece[1] or piece[0] in STATES or all(part.lower() in WORDS for part in _parts(piece[0])) else GAP
    )


def _parts(piece: str) -> list[str]:
    parts = _PARTS.findall(piece)
    return parts if "".join(parts) == piece else [piece]
