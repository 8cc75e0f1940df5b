"""Writes a document down again as YAML that reads back as the same document."""

from typing import Any

import yaml

from exchange.marketfile.source import Document

WIDTH = 120


class _Dumper(yaml.SafeDumper):
    """Writes everything out where it is meant: a market file has no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # whatever it is
        return True


def as_yaml(document: Document) -> str:
    """The text of a market file."""
    return yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=None
    )
