"""Notices in a market file: read, refused in plain words, covered, compared, warned of, followed."""

from datetime import UTC, datetime
from typing import Any

import pytest
from market_example import changed, example, problems_of

from exchange.errors import MarketFileError
from exchange.marketfile.difference import compare
from exchange.marketfile.masking import mask, unmask
from exchange.marketfile.reader import read
from exchange.marketfile.secrets import references
from exchange.marketfile.warnings import warnings_of
from exchange.rules.book import compile_book
from exchange.values.notices import BidEvent, Notices, NoticeTerms

NOW = datetime(2026, 6, 1, tzinfo=UTC)
BUYER, CAMPAIGN = "buyers/northwind/notices", "campaigns/auto-us/notices"
HOOK: dict[str, Any] = {"url": "https://northwind.example/bids", "secret": "${env:NORTHWIND_HOOK}"}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def asking(hook: dict[str, Any] = HOOK, **terms: Any) -> dict[str, Any]:
    """The example market with a buyer who asks, and a campaign that tells."""
    document = changed(BUYER, hook)
    document["campaigns"]["auto-us"]["notices"] = terms
    return document


def test_what_is_said_is_read() -> None:
    found = read(asking(rank=True, clearing_price_step="0.50", delay_min=60))
    assert found.buyers["northwind"].notices == Notices(HOOK["url"], (HOOK["secret"],), frozenset(BidEvent))
    assert found.campaigns["auto-us"].notices == NoticeTerms(60, has_rank=True, step_micros=500_000)
    some = read(asking(HOOK | {"events": ["bid.lost"]})).buyers["northwind"].notices
    assert some is not None
    assert some.events == {BidEvent.LOST}


def test_without_more_a_campaign_tells_after_a_quarter_of_an_hour_that_and_why_a_bid_lost() -> None:
    assert read(asking()).campaigns["auto-us"].notices == NoticeTerms(15)
    assert read(changed(BUYER, HOOK)).campaigns["auto-us"].notices is None


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (changed(BUYER, HOOK | {"events": ["bid.sold"]}), "buyers.northwind.notices.events[0]", "bid.won, bid.lost"),
        (changed(BUYER, {"url": HOOK["url"]}), "buyers.northwind.notices", "secret"),
        (changed(BUYER, HOOK | {"url": "ftp://x"}), "buyers.northwind.notices.url", "http"),
        (changed(CAMPAIGN, {"delay_min": -1}), "campaigns.auto-us.notices.delay_min", "must be from 0 to 1440, not -1"),
        (changed(CAMPAIGN, {"rank": "yes"}), "campaigns.auto-us.notices.rank", "true or false"),
        (
            changed(CAMPAIGN, {"clearing_price_step": "0.05"}),
            "campaigns.auto-us.notices.clearing_price_step",
            "must be whole cents, and at least 0.10: less would tell what others bid",
        ),
        (
            changed(CAMPAIGN, {"clearing_price_step": "0.505"}),
            "campaigns.auto-us.notices.clearing_price_step",
            "must be whole cents",
        ),
        (changed(CAMPAIGN, {"delay": 5}), "campaigns.auto-us.notices", "delay"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(document: dict[str, Any], path: str, message: str) -> None:
    [problem] = problems_of(document)
    assert problem.startswith(path), problem
    assert message in problem


def test_secrets_are_covered_and_found_again() -> None:
    document = asking(HOOK | {"secret": SECRET})
    covered = mask(document)
    assert covered["buyers"]["northwind"]["notices"]["secret"] == "***"
    assert SECRET not in str(covered)
    assert unmask(covered, document) == document
    with pytest.raises(MarketFileError, match=r"buyers\.northwind\.notices\.secret"):
        unmask(covered, example())
    assert SECRET not in str([str(change) for change in compare(None, read(document))])


def test_changes_are_shown_key_by_key() -> None:
    before, after = read(asking(rank=True)), read(asking(HOOK | {"events": ["bid.won"]}, clearing_price_step="1.00"))
    assert [str(change) for change in compare(before, after)] == [
        "~ campaigns.auto-us.notices.rank: true -> false",
        "+ campaigns.auto-us.notices.clearing_price_step: 1.00",
        "~ buyers.northwind.notices.events: [bid.lost, bid.won] -> [bid.won]",
    ]
    assert compare(after, after) == ()


def test_a_secret_that_is_not_set_is_a_workers_matter() -> None:
    market = read(asking())
    assert ("buyers.northwind.notices.secret", "NORTHWIND_HOOK") in references(market)
    texts = list(map(str, warnings_of(market, {}, NOW)))
    assert (
        "buyers.northwind.notices.secret: NORTHWIND_HOOK is not set here; a worker without it cannot send this" in texts
    )


def test_who_asks_and_is_told_by_no_campaign_is_warned_of() -> None:
    warning = "buyers.northwind.notices: bid.lost is never sent: no campaign that he buys on has notices"
    environment = {"NORTHWIND_HOOK": "x"}
    assert warning in map(str, warnings_of(read(changed(BUYER, HOOK)), environment, NOW))
    assert warning not in map(str, warnings_of(read(asking()), environment, NOW))
    only_won = changed(BUYER, HOOK | {"events": ["bid.won"]})
    assert warning not in map(str, warnings_of(read(only_won), environment, NOW))


def test_a_compiled_campaign_knows_whom_to_tell_and_when() -> None:
    assert compile_book(read(asking(delay_min=2)), 1, {}).campaigns["auto-us"].notice_delays_s == {"northwind": 120}
    for document in (changed(BUYER, HOOK), asking(HOOK | {"events": ["bid.won"]})):
        assert not compile_book(read(document), 1, {}).campaigns["auto-us"].notice_delays_s
