"""What the parts of a market file need to know of one another: who is there, and under which names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exchange.marketfile import limits
from exchange.marketfile.entries import below, entries
from exchange.marketfile.problems import Problems
from exchange.marketfile.references import endpoint_names, name_in
from exchange.marketfile.verticals import Catalogue, read_vertical
from exchange.values.market import Order


@dataclass(frozen=True, slots=True)
class Index:
    """A document's entries by section and key: the verticals read, the others as they are written."""

    catalogues: Mapping[str, Catalogue]
    campaigns: Mapping[str, Any]
    sellers: Mapping[str, Any]
    buyers: Mapping[str, Any]
    orders: Mapping[str, Any]
    endpoints: Mapping[str, tuple[str, ...] | None]
    """The names of each buyer's endpoints, None where they cannot be read."""
    orders_read: dict[bytes, Order] = field(default_factory=dict)
    """Orders that were read without a problem, by how they are written besides their filters."""

    def catalogue_of(self, order: object) -> Catalogue | None:
        """The fields that an order can speak of; None where its campaign or vertical is not there."""
        campaign = self.campaigns.get(name_in(order, "campaign") or "")
        return self.catalogues.get(name_in(campaign, "vertical") or "")


def index_of(document: object, problems: Problems) -> Index:
    """Takes a document apart."""
    found = document if isinstance(document, dict) else {}
    verticals = entries(found, "verticals", limits.VERTICALS_MAX, problems)
    campaigns = entries(found, "campaigns", limits.CAMPAIGNS_MAX, problems)
    sellers = entries(found, "sellers", limits.SELLERS_MAX, problems)
    buyers = entries(found, "buyers", limits.BUYERS_MAX, problems)
    orders = entries(found, "orders", limits.ORDERS_MAX, problems)
    return Index(
        catalogues={key: read_vertical(key, raw, below("verticals", key), problems) for key, raw in verticals.items()},
        campaigns=campaigns,
        sellers=sellers,
        buyers=buyers,
        orders=orders,
        endpoints={key: endpoint_names(raw) for key, raw in buyers.items()},
    )
