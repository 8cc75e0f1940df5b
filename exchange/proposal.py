"""A change of the market: compared with what is in force, then made if that still is."""

from dataclasses import dataclass
from datetime import UTC, datetime

from exchange.errors import FileProblem
from exchange.marketfile.difference import Change, ChangeKind, compare
from exchange.marketfile.masking import is_masked, unmask
from exchange.marketfile.reader import read
from exchange.marketfile.source import Document
from exchange.marketfile.warnings import warnings_of
from exchange.settings import secret_environment
from exchange.storage import catalogue
from exchange.storage.catalogue import MarketVersion, Stamp
from exchange.storage.database import Database
from exchange.values.market import Market


@dataclass(frozen=True, slots=True)
class Proposal:
    """A market that may come into force after version `base` (0: none yet), and what it would change."""

    base: int
    document: Document
    market: Market
    changes: tuple[Change, ...]
    warnings: tuple[FileProblem, ...]

    def count(self, kind: ChangeKind) -> int:
        return sum(change.kind is kind for change in self.changes)


def propose(live: MarketVersion | None, document: Document, market: Market | None = None) -> Proposal:
    """Compares a document with the version in force; `market` is what it describes, where that is known already.

    A secret that reads `***` is the one in force. Raises MarketFileError with everything that is wrong with it.
    """
    if is_masked(document):
        document, market = unmask(document, live.document if live else {}), None
    proposed = read(document) if market is None else market
    before = read(live.document) if live else None
    return Proposal(
        base=live.version if live else 0,
        document=document,
        market=proposed,
        changes=compare(before, proposed),
        warnings=warnings_of(proposed, secret_environment(), datetime.now(UTC)),
    )


async def make(database: Database, proposal: Proposal, note: str, made_by: str) -> int | None:
    """Brings a proposal into force and returns its version; None where another than its base is in force by now.

    One that changes nothing makes no version.
    """
    if not proposal.changes and proposal.base:
        return proposal.base
    counts = (proposal.count(kind) for kind in (ChangeKind.ADDED, ChangeKind.CHANGED, ChangeKind.REMOVED))
    stamp = Stamp(note, made_by, *counts)
    return await catalogue.apply_after(database, proposal.base, proposal.document, proposal.market, stamp)
