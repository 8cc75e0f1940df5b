"""Reads a market file: a document in, the market out, or every problem of the document at once."""

from collections.abc import Callable, Collection

from exchange.errors import MarketFileError
from exchange.marketfile.build import build_buyer, build_campaign, build_seller
from exchange.marketfile.consent import check_consent
from exchange.marketfile.entries import below, shaped
from exchange.marketfile.index import Index, index_of
from exchange.marketfile.orders import read_order, read_whens
from exchange.marketfile.problems import Problems
from exchange.marketfile.references import (
    check_adjustment,
    check_endpoints,
    check_list,
    check_method,
    check_name,
    name_in,
)
from exchange.marketfile.shapes.campaigns import CampaignShape
from exchange.marketfile.shapes.market import MarketShape
from exchange.marketfile.shapes.parties import BuyerShape, SellerShape
from exchange.marketfile.source import Document, scan
from exchange.values.market import Buyer, Campaign, Market, Order, Seller

OrderReader = Callable[[str, object, Index, Problems], Order | None]


def load(text: str) -> tuple[Document, Market]:
    """The document and the market of a file's text. Raises MarketFileError with the problems of both."""
    found = scan(text)
    problems = Problems(found.problems)
    market = None if found.document is None else _read(found.document, problems)
    if found.document is None or market is None:
        raise MarketFileError(tuple(problems))
    return found.document, market


def read(document: object, order_reader: OrderReader = read_order) -> Market:
    """The market that a document describes. Raises MarketFileError with everything that is wrong with it."""
    problems = Problems()
    market = _read(document, problems, order_reader)
    if market is None:
        raise MarketFileError(tuple(problems))
    return market


def _read(document: object, problems: Problems, order_reader: OrderReader = read_order) -> Market | None:
    """Every entry is read, whatever is wrong with the others; a market comes of it only if nothing is."""
    shape = shaped(MarketShape, "", document, problems)
    index = index_of(document, problems)
    campaigns = {key: _read_campaign(key, raw, index, problems) for key, raw in index.campaigns.items()}
    sellers = {key: _read_seller(key, raw, index, problems) for key, raw in index.sellers.items()}
    buyers = {key: _read_buyer(key, raw, index, problems) for key, raw in index.buyers.items()}
    orders = {key: order_reader(key, raw, index, problems) for key, raw in index.orders.items()}
    if shape is None or problems:
        return None
    return Market(
        currency=shape.currency,
        verticals={key: item.vertical for key, item in index.catalogues.items() if item.vertical is not None},
        campaigns={key: item for key, item in campaigns.items() if item is not None},
        sellers={key: item for key, item in sellers.items() if item is not None},
        buyers={key: item for key, item in buyers.items() if item is not None},
        orders={key: item for key, item in orders.items() if item is not None},
    )


def _read_campaign(key: str, raw: object, index: Index, problems: Problems) -> Campaign | None:
    path = below("campaigns", key)
    before, shape = len(problems), shaped(CampaignShape, path, raw, problems)
    check_name(name_in(raw, "vertical"), f"{path}.vertical", "vertical", index.catalogues, problems)
    check_method(raw, path, problems)
    catalogue = index.catalogues.get(name_in(raw, "vertical") or "")
    check_consent(raw, path, catalogue, problems)
    whens = (
        [] if catalogue is None or not isinstance(raw, dict) else read_whens(raw, "floors", path, catalogue, problems)
    )
    return None if shape is None or len(problems) > before else build_campaign(key, shape, whens)


def _read_seller(key: str, raw: object, index: Index, problems: Problems) -> Seller | None:
    path = below("sellers", key)
    shape = shaped(SellerShape, path, raw, problems)
    open_to = raw.get("campaigns") if isinstance(raw, dict) else None
    check_list(open_to, f"{path}.campaigns", "campaign", index.campaigns, problems)
    _check_excluded(raw, path, "buyer", index.buyers, problems)
    return None if shape is None else build_seller(key, shape)


def _read_buyer(key: str, raw: object, index: Index, problems: Problems) -> Buyer | None:
    path = below("buyers", key)
    shape = shaped(BuyerShape, path, raw, problems)
    check_endpoints(raw, path, problems)
    _check_excluded(raw, path, "seller", index.sellers, problems)
    check_adjustment(raw, path, problems)
    rivals = raw.get("not_with") if isinstance(raw, dict) else None
    check_list(rivals, f"{path}.not_with", "buyer", index.buyers, problems)
    if isinstance(rivals, list) and key in rivals:
        problems.add(f"{path}.not_with", "names the buyer himself: nobody is sold one lead twice")
    return None if shape is None else build_buyer(key, shape)


def _check_excluded(raw: object, path: str, what: str, known: Collection[str], problems: Problems) -> None:
    key = f"exclude_{what}s"
    check_list(raw.get(key) if isinstance(raw, dict) else None, f"{path}.{key}", what, known, problems)
