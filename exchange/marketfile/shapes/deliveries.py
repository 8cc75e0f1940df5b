"""What follows a sale in a market file: webhooks of sellers and buyers, signatures, and the deliveries of an order."""

from typing import Annotated, Self

from pydantic import BeforeValidator, model_validator

from exchange.marketfile.limits import AFTER_S, EVERY_MIN, PORT, RECIPIENTS_MAX, RETRIES, RETRY_S
from exchange.marketfile.outside import Host, HostKey, MailAddress, Password, PrivateKey, SigningSecret, Url, User
from exchange.marketfile.scalars import Flag, Template, Text, choice, refuse, whole
from exchange.marketfile.shapes.auth import AuthShape, read_auth
from exchange.marketfile.shapes.base import Given, Mapping, Shape
from exchange.marketfile.shapes.mapped import MessageShape
from exchange.marketfile.times import ClockTime
from exchange.rules.signing import SECRETS_MAX
from exchange.values.deliveries import FileFormat, SellerEvent
from exchange.values.mapping import POST_FACTS
from exchange.values.notices import BidEvent

SUBJECT = "Lead {{attempt_id}} for {{order}}"
TEXT = "{{lead}}\n"
_NOT_READ = ("price", "bid_id", "sale", "max_shares", "bids", "not_found", "reason", "reference", "redirect_url")


class SigningShape(Shape):
    """With what requests are signed: one secret, or several while one of them is being replaced."""

    secret: Given[SigningSecret] = None
    secrets: Given[list[SigningSecret]] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.secret is None) == (self.secrets is None):
            raise refuse("must say either secret or secrets")
        if self.secrets is not None and not 1 <= len(self.secrets) <= SECRETS_MAX:
            raise refuse(f"must have 1 to {SECRETS_MAX} secrets")
        return self

    def all_secrets(self) -> tuple[str, ...]:
        """The secrets as they are written."""
        return tuple(self.secrets or ()) if self.secret is None else (self.secret,)


class SellerWebhookShape(SigningShape):
    """Where a seller is told what became of his posts."""

    url: Url
    events: Given[list[Annotated[str, choice(*SellerEvent)]]] = None


class NoticesShape(SigningShape):
    """Where a buyer is told what became of his bids."""

    url: Url
    events: Given[list[Annotated[str, choice(*BidEvent)]]] = None


class LeadWebhookShape(SigningShape):
    """A lead as JSON to an address."""

    url: Url
    auth: Annotated[AuthShape | None, BeforeValidator(read_auth)] = None


class MailShape(Shape):
    """A lead as an e-mail."""

    to: list[MailAddress]
    subject: Text = SUBJECT
    text: Template = TEXT
    html: Given[Template] = None

    @model_validator(mode="after")
    def _some_recipients(self) -> Self:
        if not 1 <= len(self.to) <= RECIPIENTS_MAX:
            raise refuse(f"must go to 1 to {RECIPIENTS_MAX} addresses")
        return self


class SftpShape(Shape):
    """A lead as a file on an SSH server whose key is known."""

    host: Host
    port: Annotated[int, whole(*PORT)] = 22
    user: User
    host_key: HostKey
    password: Given[Password] = None
    key: Given[PrivateKey] = None
    folder: Given[Text] = None
    format: Annotated[str, choice(*FileFormat)] = "json"
    every_min: Given[Annotated[int, whole(*EVERY_MIN)]] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.password is None) == (self.key is None):
            raise refuse("must say either password or key")
        return self


class FtpsShape(Shape):
    """A lead as a file on an FTP server, over TLS."""

    host: Host
    port: Annotated[int, whole(*PORT)] = 21
    user: User
    password: Password
    folder: Given[Text] = None
    format: Annotated[str, choice(*FileFormat)] = "json"
    every_min: Given[Annotated[int, whole(*EVERY_MIN)]] = None


class MeansShape(Shape):
    """The ways in which a lead can be delivered besides a wire of the buyer's own."""

    webhook: Given[LeadWebhookShape] = None
    email: Given[MailShape] = None
    sftp: Given[SftpShape] = None
    ftps: Given[FtpsShape] = None

    def count(self) -> int:
        """How many of them are given."""
        return sum(part is not None for part in (self.webhook, self.email, self.sftp, self.ftps))


class CallShape(MessageShape):
    """A request of the receiver's own kind, and what its answers mean."""

    url: Url
    auth: Annotated[AuthShape | None, BeforeValidator(read_auth)] = None

    @model_validator(mode="after")
    def _says_what_is_known(self) -> Self:
        unknown = next((name for name in self.facts() if name not in POST_FACTS), None)
        if unknown is not None:
            raise refuse(f"there is no {unknown} once a lead is sold")
        if any(getattr(self.reply, key) for key in _NOT_READ):
            raise refuse(f"reply: {', '.join(_NOT_READ)} are not read here")
        return self


class RetryShape(Shape):
    """How often a delivery is tried, and how long the pauses are, in seconds."""

    tries: Given[Annotated[int, whole(*RETRIES)]] = None
    first_s: Given[Annotated[int, whole(*RETRY_S)]] = None
    longest_s: Given[Annotated[int, whole(*RETRY_S)]] = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise refuse("must say something: tries, first_s or longest_s")
        if self.first_s is not None and self.longest_s is not None and self.first_s > self.longest_s:
            raise refuse("first_s is more than longest_s")
        return self


class DeliveryShape(MeansShape):
    """A delivery that follows a sale, in one of these ways."""

    http: Given[CallShape] = None
    when: Given[Mapping] = None
    after: Given[Text] = None
    instead_of: Given[Text] = None
    in_hours: Flag = False
    on: Given[Text] = None
    at: Given[ClockTime] = None
    retry: Given[RetryShape] = None
    after_s: Annotated[int, whole(*AFTER_S)] = 0

    @model_validator(mode="after")
    def _one_of_all(self) -> Self:
        if self.count() + (self.http is not None) != 1:
            raise refuse("must say one of webhook, email, sftp, ftps and http")
        if self.after is not None and self.instead_of is not None:
            raise refuse("must say either after or instead_of")
        is_gathered = any(part is not None and part.every_min is not None for part in (self.sftp, self.ftps))
        if is_gathered and (self.after or self.instead_of or self.in_hours or self.on):
            raise refuse("every_min has times of its own: after, instead_of, in_hours and on do not go with it")
        if self.at is not None and self.on is None:
            raise refuse("at is the time of a day: say on which, with on")
        return self
