"""The example market of the demo: its file for the ports at hand, and the secrets and deposits that go with it."""

import re
from collections.abc import Mapping
from importlib.resources import files

from exchange.simulation.manners import token_of
from exchange.values.money import MICROS_PER_UNIT

_PORT = re.compile(r"\{port\+(\d+)\}")
_SECRET = re.compile(r"\$\{env:([A-Z_]+)_TOKEN\}")


def render_demo_market(base_port: int) -> str:
    """The example market file for simulated buyers on the ports from `base_port` on, in the order of `demo_buyers`."""
    return _PORT.sub(lambda match: str(base_port + int(match[1])), _template())


def demo_environment() -> Mapping[str, str]:
    """The environment variables that the example market names, with the tokens that the simulated buyers expect."""
    return {f"{name}_TOKEN": token_of(name.lower()) for name in _SECRET.findall(_template())}


def demo_deposits_micros() -> Mapping[str, int]:
    """What buyers of the example market have paid in; the others trade on credit. This one runs out of money."""
    return {"greenroof": 150 * MICROS_PER_UNIT}


def _template() -> str:
    return files("exchange.simulation").joinpath("demo_market.yaml").read_text(encoding="utf-8")
