"""A server that gives access tokens, as OAuth 2 has it."""

from support.buyer import Answer, Buyer, Received, reply


class GivesTokens(Buyer):
    """Gives tokens with numbers; says that it cannot, as long as it is told to fail."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__(self._answer)
        self.fails = fails

    def _answer(self, _: Received) -> Answer:
        if self.fails:
            return reply({"error": "temporarily_unavailable"}, 503)
        return reply({"access_token": f"t-{len(self.pings)}", "token_type": "Bearer", "expires_in": 3600})
