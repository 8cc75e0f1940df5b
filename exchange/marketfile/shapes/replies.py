"""What an answer means, in a mapping of a market file: rules for yes and no, and where it says what."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from exchange.buyers.dialects.paths import PathError, json_path, list_finder, xml_path
from exchange.marketfile.limits import CONDITIONS_MAX
from exchange.marketfile.problems import shown
from exchange.marketfile.scalars import Amount, Flag, Text, choice, refuse
from exchange.marketfile.shapes.base import Given, Shape
from exchange.marketfile.wording import Pattern, Statuses, WordList
from exchange.values.mapping import Format, Less, Money

CHARSETS = ("utf-8", "iso-8859-1", "windows-1252", "us-ascii")


def _path_in_short(value: object) -> object:
    """A path alone stands for `{at: path}`."""
    return {"at": value} if isinstance(value, str) else value


def _several(value: object) -> object:
    """One condition alone stands for a list of one."""
    return [value] if isinstance(value, dict) else value


class ConditionShape(Shape):
    """Something that an answer says."""

    at: Given[Text] = None
    within: Given[WordList] = Field(default=None, alias="is")
    without: Given[WordList] = Field(default=None, alias="not")
    exists: Given[Flag] = None
    matches: Given[Pattern] = None
    above: Given[Amount] = None
    status: Given[Statuses] = None
    also: Annotated["list[ConditionShape]", BeforeValidator(_several)] = Field(default=[], alias="and")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        tests = (self.within, self.without, self.exists, self.above)
        if self.at is None and any(test is not None for test in tests):
            raise refuse("at is missing: where should that stand?")
        if self.within is not None and self.without is not None:
            raise refuse("must say either is or not")
        if self.at is not None and self.matches is None and all(test is None for test in tests):
            raise refuse("must say what stands there: is, not, exists, matches or above")
        if self.at is None and self.matches is None and self.status is None:
            raise refuse("must say something of the answer: at, matches or status")
        return self


class PlaceShape(Shape):
    """Where an answer says something."""

    at: Given[Text] = None
    matches: Given[Pattern] = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if self.at is None and self.matches is None:
            raise refuse("must say at or matches")
        return self


class SayingShape(PlaceShape):
    """Where an answer says something, and how that is written."""

    money: Annotated[str, choice(*Money)] = Money.PLAIN
    optional: Flag = False


class SaleShape(PlaceShape):
    """Where a bid says whether it is for the lead alone or shared, and in which words."""

    exclusive: WordList = ("exclusive",)
    shared: WordList = ("shared",)

    @model_validator(mode="after")
    def _in_different_words(self) -> Self:
        words = [word.casefold() for word in (*self.exclusive, *self.shared)]
        if len(set(words)) < len(words):
            raise refuse("has the same word twice")
        return self


Conditions = Annotated[list[ConditionShape], BeforeValidator(_several)]
Saying = Annotated[SayingShape, BeforeValidator(_path_in_short)]
SaleSaying = Annotated[SaleShape, BeforeValidator(_path_in_short)]


class OfferShape(Shape):
    """What a bid says."""

    error: Conditions = []
    duplicate: Conditions = []
    reject: Conditions = []
    success: Conditions = []
    price: Given[Saying] = None
    bid_id: Given[Saying] = None
    reason: Given[Saying] = None
    sale: Given[SaleSaying] = None
    max_shares: Given[Saying] = None

    def conditions(self) -> dict[str, Sequence[ConditionShape]]:
        """All conditions by their keys, each with those that must hold as well."""
        rules = {"error": self.error, "duplicate": self.duplicate, "reject": self.reject, "success": self.success}
        return {key: _with_others(key, found) for key, found in rules.items()}

    def sayings(self) -> dict[str, PlaceShape]:
        """Everything that is read, by its key."""
        keys = ("price", "bid_id", "reason", "sale", "max_shares")
        return {key: saying for key in keys if (saying := getattr(self, key)) is not None}


class BidsShape(OfferShape):
    """Where an answer has a list of bids; the rest is read within each of them, as if that were the answer."""

    at: Text
    price: Saying

    @model_validator(mode="after")
    def _within_each(self) -> Self:
        conditions = ((key, found.at) for key, group in self.conditions().items() for found in group)
        for key, at in (*conditions, *((key, saying.at) for key, saying in self.sayings().items())):
            if at is None:
                raise refuse(f"{key}: must say at: a bid of a list has no text of its own")
        return self


class ReplyShape(OfferShape):
    """What an answer means."""

    format: Annotated[str, choice(*Format)]
    charset: Annotated[str, choice(*CHARSETS)] = "utf-8"
    not_found: Conditions = []
    bids: Given[BidsShape] = None
    reference: Given[Saying] = None
    redirect_url: Given[Saying] = None
    confirmed: Given[Saying] = None
    less: Given[Annotated[str, choice(*Less)]] = None

    def conditions(self) -> dict[str, Sequence[ConditionShape]]:
        return super().conditions() | {"not_found": _with_others("not_found", self.not_found)}

    def sayings(self) -> dict[str, PlaceShape]:
        keys = ("reference", "redirect_url", "confirmed")
        return super().sayings() | {key: saying for key in keys if (saying := getattr(self, key)) is not None}

    @model_validator(mode="after")
    def _paths_can_be_read(self) -> Self:
        self._check_all(self, "")
        if self.bids is not None:
            self._check("bids.at", self.bids.at, is_list=True)
            self._check_all(self.bids, "bids.")
        if self.less is not None and self.confirmed is None:
            raise refuse("less goes with confirmed only: no price is read that could be less")
        if not self.success and self.bids is None:
            raise refuse("success has no condition: nothing would ever be a yes")
        if self.price is None and (self.sale is not None or self.max_shares is not None):
            raise refuse("sale and max_shares go with price: what a bid of a list says stands under bids")
        return self

    def _check_all(self, offer: OfferShape, above: str) -> None:
        for key, conditions in offer.conditions().items():
            for condition in conditions:
                self._check(above + key, condition.at)
        for key, saying in offer.sayings().items():
            self._check(above + key, saying.at)

    def _check(self, key: str, at: str | None, *, is_list: bool = False) -> None:
        if at is None:
            return
        if self.format == Format.TEXT:
            raise refuse(f"{key}: a text has no paths: use matches")
        is_xml = self.format == Format.XML
        try:
            if is_list:
                list_finder(at, xml=is_xml)
            else:
                (xml_path if is_xml else json_path)(at)
        except PathError as error:
            raise refuse(f"{key}: {shown(at)} {error}") from None


def _with_others(key: str, conditions: Sequence[ConditionShape]) -> Sequence[ConditionShape]:
    """Some conditions and those within them, if they are not too many."""
    if len(conditions) > CONDITIONS_MAX:
        raise refuse(f"{key} holds more than {CONDITIONS_MAX} conditions")
    for condition in conditions:
        if len(condition.also) > CONDITIONS_MAX or any(other.also for other in condition.also):
            raise refuse(f"{key}: and holds up to {CONDITIONS_MAX} conditions, without another and")
    return [one for condition in conditions for one in (condition, *condition.also)]
