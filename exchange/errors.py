"""The errors of the exchange, each with what its caller can do about it.

ExchangeError
├── Problem                  a seller's request that is answered with problem+json
├── RefusedByDatabase        a function in Postgres said no, which its caller asked to know
├── StorageUnavailable       Postgres did not answer in time: nothing was recorded, try again
│   └── TakesNoWrites        it does answer, and takes no writes
├── NothingKnown             it is not known whether something was recorded: there is nothing to answer
├── SchemaMismatch           the database is not at the schema this version speaks
├── MarketFileError          a market file with problems, all of them listed
└── EmbeddedServiceError     a local Postgres or Valkey could not be started
"""

from collections.abc import Sequence
from dataclasses import dataclass


class ExchangeError(Exception):
    """Base of everything the exchange raises on purpose."""


class RefusedByDatabase(ExchangeError):
    """A function in Postgres said no, and what it had done is rolled back; the text is its word."""


class StorageUnavailable(ExchangeError):
    """Postgres did not answer in time or refused the connection. Nothing was recorded; the call may be repeated."""


class TakesNoWrites(StorageUnavailable):
    """Postgres can be reached, and only read: it is a standby, or was told to take no writes."""


class NothingKnown(ExchangeError):
    """What was recorded is not known, and will not be in time: neither an answer nor an error would be true."""


class SchemaMismatch(ExchangeError):
    """The database's schema is older or newer than this version of the exchange. The text says which command helps."""


class CommandError(ExchangeError):
    """A command that cannot do what it was asked; the text says why."""


class SettingsError(ExchangeError):
    """A variable of the environment, or the key file, that cannot be used. The text names it, never its value."""


class EmbeddedServiceError(ExchangeError):
    """A local Postgres or Valkey could not be started. The text names the log and what to set instead."""


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing that is wrong in a market file: where (`orders.acme-il.filter.age`) and what."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class MarketFileError(ExchangeError):
    """A market file that cannot be applied; `problems` holds everything that is wrong with it, not the first only."""

    def __init__(self, problems: Sequence[FileProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field of a lead that cannot be taken: its name, a stable code, and a sentence without the value."""

    field: str
    code: str
    detail: str


class Problem(ExchangeError):
    """A request that cannot be served, as RFC 9457 problem details.

    `status` is the HTTP status, `code` the stable name from the contract, `retry_after_s` seconds to wait where
    repeating the same request helps.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after_s = retry_after_s
