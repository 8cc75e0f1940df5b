"""`exchange breaker`: which endpoints are left alone and why, and asking them again."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.markup import escape
from rich.table import Table

from exchange import standing_brakes
from exchange.errors import CommandError
from exchange.standing_brakes import LeftAlone
from exchange.storage.database import Database


async def listed(database: Database) -> list[LeftAlone]:
    """Everything that is not as usual."""
    return await standing_brakes.standing(database)


async def reset(database: Database, buyer: str, endpoint: str | None) -> list[str]:
    """Resets the endpoints of a buyer; their names. Raises CommandError where there is none."""
    try:
        return await standing_brakes.reset(database, buyer, endpoint)
    except LookupError:
        named = f"{buyer} has no endpoint {endpoint}" if endpoint else f"there is no buyer {buyer}"
        raise CommandError(f"{named} in the market") from None


def table(rows: Sequence[LeftAlone]) -> Table:
    """The rows for a person."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("buyer", "endpoint", "for", "state", "openings", "gateways", "why"):
        may_fold = name in {"buyer", "endpoint", "why"}
        made.add_column(name, justify="right" if name == "openings" else "left", overflow="fold", no_wrap=not may_fold)
    for row in rows:
        state = f"{row.state} (shadow)" if row.shadow else row.state
        openings = "" if row.openings is None else str(row.openings)
        phase = "all" if row.phase is None else f"{row.phase}s"
        why = f"paused at {row.since}: {row.detail}" if row.phase is None else row.detail  # which says since when
        cells = row.buyer, row.endpoint, phase, state, openings, f"{row.gateways} of {row.of}", why
        made.add_row(*map(escape, cells))
    return made


def as_json(rows: Sequence[LeftAlone]) -> str:
    """The rows for a program."""
    return json.dumps(list(map(asdict, rows)))
