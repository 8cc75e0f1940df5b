"""How many connections sellers may hold, in all and from one address."""


class Places:
    """The connections of one process. `each_max` is how many of them one address may have, None for no limit."""

    def __init__(self, most: int, each_max: int | None) -> None:
        self._most = most
        self._each_max = each_max
        self._count = 0
        self._by_address: dict[str, int] = {}

    def taken(self, address: str) -> str | None:
        """Counts a connection; the name of the setting that it is one too many for, or None. Give each of them back."""
        self._count += 1
        of_address = self._by_address[address] = self._by_address.get(address, 0) + 1
        if self._count > self._most:
            return "connections_max"
        if self._each_max is not None and of_address > self._each_max:
            return "connections_per_address_max"
        return None

    def given_back(self, address: str) -> None:
        self._count -= 1
        left = self._by_address.pop(address) - 1
        if left:
            self._by_address[address] = left
