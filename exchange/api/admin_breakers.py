"""The operators' door to endpoints that are left alone: which and why, and asking them again."""

from fastapi import APIRouter
from pydantic import BaseModel

from exchange import standing_brakes
from exchange.api.admin_schema import reading, resetting
from exchange.errors import Problem
from exchange.standing_brakes import LeftAlone
from exchange.storage.database import Database


class BreakerList(BaseModel):
    """All that is not as usual."""

    breakers: list[LeftAlone]


class ResetInfo(BaseModel):
    """The endpoints that are asked again."""

    buyer: str
    endpoints: list[str]


class BreakerDoor:
    """Adds its endpoints to the router of the admin API, which lets operators in."""

    def __init__(self, database: Database, router: APIRouter) -> None:
        self._database = database
        router.add_api_route("/breakers", self.breakers, **reading("Endpoints that are left alone"))
        router.add_api_route("/breakers/{buyer}/reset", self.reset, **resetting("Ask a buyer's endpoints again"))

    async def breakers(self) -> BreakerList:
        return BreakerList(breakers=await standing_brakes.standing(self._database))

    async def reset(self, buyer: str, endpoint: str | None = None) -> ResetInfo:
        try:
            names = await standing_brakes.reset(self._database, buyer, endpoint)
        except LookupError:
            raise Problem(404, "not_found", "The market has no such buyer or endpoint.") from None
        return ResetInfo(buyer=buyer, endpoints=names)
