"""Sends the sellers' API what its own description allows, and what it does not. Optional: it needs schemathesis.

    pip install schemathesis==4.32.5                            # not among the project's own requirements
    python loadtests/fuzz_api.py                                # --examples, --seed, --schemathesis

A gateway of its own, with buyers who bid and accept (the benchmark kit's farm), and a seller's key. It fails if an
answer is a 5xx, has a status or content type that the description does not name, or a body of another shape, or if the
gateway wrote an error into its log. Without schemathesis it says so and does nothing.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bench_kit import Farm, build
from exchange_process import own_exchange
from sale_speed import BASE_PORT, BUYERS, STATES, market

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside = Path(sys.executable).with_name("schemathesis")
    found = str(beside) if beside.exists() else shutil.which("schemathesis")
    parser.add_argument("--schemathesis", default=found, help="the program; default: beside Python, or on the path")
    parser.add_argument("--examples", type=int, default=300, help="at most so many for each operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.schemathesis is None:
        print("fuzz_api: SKIPPED, nothing was sent: pip install schemathesis==4.32.5 first", file=sys.stderr)
        return 0
    build([])
    farm = Farm({0, 1}, base=BASE_PORT, count=BUYERS)
    try:
        with own_exchange(EXCHANGE_LOG_LEVEL="warning") as exchange:
            exchange.apply(market(STATES))
            key = exchange.new_key("acme")
            with exchange.serving() as url:
                status = fuzz(options, url, key)
            errors = re.findall(r".*(?:\"error\"|Traceback|exception).*", exchange.log())
    finally:
        farm.stop()
    print(*errors[:20], sep="\n", end="\n" if errors else "", file=sys.stderr)
    return status or bool(errors)


def fuzz(options: argparse.Namespace, url: str, key: str) -> int:
    command = [options.schemathesis, "run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {key}"]
    command += ["--checks", CHECKS, "--max-examples", str(options.examples), "--seed", str(options.seed)]
    command += ["--continue-on-failure", "--no-color"]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
