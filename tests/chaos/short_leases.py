"""The exchange's command line with leases that outlast a buyer's time by seconds, so that tests see them run out."""

import exchange.plans
import exchange.rules.doubt
import exchange.worker
from exchange.cli import main

MARGIN_S = 2.0


def shorten() -> None:
    """Changes the constants of this process."""
    exchange.plans.LEASE_MARGIN_S = MARGIN_S
    exchange.rules.doubt.UNDER_WAY_S = MARGIN_S
    exchange.worker.RECOVER_EVERY_S = 0.5


if __name__ == "__main__":
    shorten()
    main()
