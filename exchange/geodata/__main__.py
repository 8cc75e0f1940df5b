"""Packs a gazetteer file: `python -m exchange.geodata 2025_Gaz_zcta_national.txt`."""

import argparse
import sys
from pathlib import Path

from exchange.errors import CommandError
from exchange.geodata.centroids import PACKED
from exchange.geodata.gazetteer import pack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="the unzipped gazetteer file of ZIP code tabulation areas")
    parser.add_argument("--to", type=Path, default=PACKED, help="where the packed file goes (default: %(default)s)")
    options = parser.parse_args()
    try:
        content = pack(options.source.read_text(encoding="utf-8-sig"), options.source.name)
    except (CommandError, OSError) as error:
        sys.exit(str(error))
    options.to.write_bytes(content)


if __name__ == "__main__":
    main()
